"""Bandits (Duan et al. 2016): mean total reward of 10 pulls of 5 Bernoulli arms, means uniform from 0 to 1.

`learnt exploration` is a policy that sees what each arm has paid so far, trained on the family without a step of
adaptation; `maml` adapts to 20 episodes of one bandit first, so that it has seen that bandit 200 times: another game,
shown for completeness. Thompson sampling, UCB1 and the best arm are played here, on as many bandits; published are
Gittins 6.6, Thompson 5.7, UCB1 6.7.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from measure import Report, Row, advdl, arguments_parser, recipe_digest, sets, workplace
from numpy.typing import NDArray
from results import Results

ARMS, PULLS, BANDITS = 5, 10, 1_000
PUBLISHED = {"Gittins": 6.6, "Thompson": 5.7, "UCB1": 6.7}
VARIANTS: dict[str, dict[str, Any]] = {"learnt exploration": {"adapter.steps": 0}, "maml": {}}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--iterations", type=int, default=500, help="meta-iterations, 20,000 pulls each and again")
    parser.add_argument(
        "--results", type=Path, help="a file that keeps finished runs, so that the rest can be made later"
    )
    arguments = parser.parse_args()
    results = Results(arguments.results, recipe_digest("advdl_meta/recipes/bandits.toml"))
    with workplace() as folder:
        rows = [
            results.row(
                lambda name=name, seed=seed: one(name, seed, arguments.iterations, folder),
                name=name,
                seed=seed,
                iterations=arguments.iterations,
            )
            for seed in arguments.seeds
            for name in VARIANTS
        ]
    return report(rows, arguments).emit(as_json=arguments.json)


def one(name: str, seed: int, iterations: int, folder: Path) -> Row:
    fixed = {"evaluation.every": 0, "evaluation.tasks": BANDITS, "evaluation.steps": [0, 1]}
    command = ["meta", "train", "--tasks", "bandits", "--adapter", "maml", "--steps", str(iterations)]
    home = folder / f"{name.replace(' ', '-')}-{seed}"
    done = advdl([*command, "--seed", str(seed), "--quiet", *sets({**fixed, **VARIANTS[name]})], home, folder / "cache")
    figures = done.data.get("evaluation", {})
    row: Row = {"name": name, "seed": seed}
    for step in (0, 1):
        row[f"after_{step}"] = figures.get(f"return/after_{step}")
        row[f"interval_{step}"] = figures.get(f"return/after_{step}/interval")
    return {**row, "seconds": done.seconds, "exit_code": done.code}


def report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    summary: list[Row] = [
        {"name": name, "reward": statistics.mean(row["after_0"] for row in rows if row["name"] == name)}
        for name in VARIANTS
    ]
    summary += [{"name": name, "reward": value} for name, value in played().items()]
    summary += [{"name": f"{name}, published", "reward": value} for name, value in PUBLISHED.items()]
    learnt = summary[0]["reward"]
    return Report(
        title="Bandits, 10 pulls of 5 arms",
        settings={"iterations": arguments.iterations, "bandits": BANDITS, "episodes_of_each": 20},
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=[(f"what is learnt is at least Gittins' 6.6, to one digit ({learnt:.2f})", round(learnt, 1) >= 6.6)],
        notes=["in the summary: before any step of adaptation; after one, see the rows"],
    )


def played(count: int = 20_000, seed: int = 0) -> dict[str, float]:
    """Plays the classical strategies."""
    strategies = {"Thompson, played here": thompson, "UCB1, played here": ucb1}
    return {name: mean_reward(choose, count, seed) for name, choose in strategies.items()} | {
        "always the best arm": PULLS * ARMS / (ARMS + 1)
    }


def mean_reward(choose: Any, count: int, seed: int) -> float:
    generator = np.random.default_rng(seed)
    means = generator.uniform(size=(count, ARMS))
    pulls, wins = np.zeros((count, ARMS)), np.zeros((count, ARMS))
    every = np.arange(count)
    for step in range(PULLS):
        arm = choose(pulls, wins, step, generator)
        paid = generator.uniform(size=count) < means[every, arm]
        pulls[every, arm] += 1
        wins[every, arm] += paid
    return float(wins.sum(1).mean())


def thompson(pulls: NDArray[Any], wins: NDArray[Any], step: int, generator: np.random.Generator) -> NDArray[np.int64]:
    del step
    return generator.beta(1 + wins, 1 + pulls - wins).argmax(1)


def ucb1(pulls: NDArray[Any], wins: NDArray[Any], step: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """UCB1 on posterior means, with the exploration that suits so few pulls: 0.02 instead of 2 under the root.

    On plain means (Auer et al. 2002) it must pull every arm once, half of all pulls, and earns 5.9.
    """
    del generator
    index: NDArray[np.int64] = ((wins + 1) / (pulls + 2) + np.sqrt(0.02 * np.log(step + 1) / (pulls + 1))).argmax(1)
    return index


if __name__ == "__main__":
    sys.exit(main())
