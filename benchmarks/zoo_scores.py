"""Do our recipes score what rl-baselines3-zoo publishes, with as many env steps?

Trains every pair of agent and env with its recipe, a process for each seed, and takes the final evaluation: 100
episodes of Gymnasium's own env that neither training nor the choice of the checkpoint has seen. A pair's figure is the
interquartile mean of the seeds' means with a 95% bootstrap interval over the seeds.

The zoo's figures are of one run each (its benchmark.md). Budgets are the zoo's env steps. Some pairs need an extra:
LunarLander pip install 'advdl[box2d]'.

Every seed's result is printed and, with `--results FILE`, written there when it is there; what the file has is not
trained again. So the whole table can be made in parts, by pairs and by seeds, and an end of the process costs the runs
under way and no other:

    python benchmarks/zoo_scores.py --results zoo.jsonl --only ppo-Pendulum --seeds 0,1
    python benchmarks/zoo_scores.py --results zoo.jsonl

A result is good for the recipe it was made with: where the recipe has changed since, it is made anew.
"""

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from measure import ROOT, Report, Row, advdl, arguments_parser, say
from results import Results

from advdl.experiment.provenance import git_state
from advdl.rl.statistics import bootstrap_interval, iqm

PLUGINS = {"dqn": "advdl_dqn", "a2c": "advdl_policy_gradient", "ppo": "advdl_policy_gradient"}


@dataclass(frozen=True)
class Pair:
    """An agent and an env, the zoo's budget and score, and the score that is asked of us."""

    agent: str
    env: str
    steps: int
    zoo: float
    asked: float

    @property
    def name(self) -> str:
        return f"{self.agent}-{self.env.rpartition('-')[0]}"

    @property
    def recipe(self) -> str:
        """A digest of the recipe and of the budget: a result is good for these."""
        path = ROOT / "plugins" / PLUGINS[self.agent] / "recipes" / self.agent / f"{self.env}.toml"
        return hashlib.sha256(f"{self.steps} {path.read_text()}".encode()).hexdigest()[:12]


PAIRS = (
    Pair("dqn", "CartPole-v1", 50_000, 500.0, 500.0),
    Pair("a2c", "CartPole-v1", 500_000, 500.0, 500.0),
    Pair("ppo", "CartPole-v1", 100_000, 500.0, 500.0),
    Pair("dqn", "Acrobot-v1", 100_000, -76.639, -80.0),
    Pair("a2c", "Acrobot-v1", 500_000, -83.353, -83.353),
    Pair("ppo", "Acrobot-v1", 1_000_000, -73.506, -78.0),
    Pair("dqn", "MountainCar-v0", 120_000, -100.849, -105.0),
    Pair("ppo", "MountainCar-v0", 1_000_000, -110.423, -112.0),
    Pair("ppo", "Pendulum-v1", 100_000, -172.225, -175.0),
    Pair("ppo", "MountainCarContinuous-v0", 20_000, 88.343, 88.0),
    Pair("dqn", "LunarLander-v3", 100_000, 154.382, 155.0),
    Pair("ppo", "LunarLander-v3", 1_000_000, 242.119, 242.1),
)
"""From rl-baselines3-zoo's benchmark.md; LunarLander there is v2."""


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    names = [pair.name for pair in PAIRS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="AGENT-ENV", help=", ".join(names))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs side by side")
    parser.add_argument("--runs", type=Path, help="keep the runs here instead of in a temporary folder")
    parser.add_argument("--results", type=Path, help="a file that has results, and gets every further one")
    arguments = parser.parse_args()
    chosen = [pair for pair in PAIRS if pair.name in arguments.only]
    with tempfile.TemporaryDirectory(prefix="advdl-benchmark-") as temporary:
        rows = all_of(chosen, arguments, arguments.runs or Path(temporary))
    return report(arguments, chosen, rows).emit(as_json=arguments.json)


def all_of(pairs: Sequence[Pair], arguments: argparse.Namespace, folder: Path) -> list[Row]:
    """Trains what has no result yet; returns the rows pair by pair."""
    results = Results(arguments.results)

    def row_of(run: tuple[Pair, int]) -> Row:
        pair, seed = run
        found = results.find(exit_code=0, pair=pair.name, seed=seed, recipe=pair.recipe)
        if found is None:
            found = one(pair, seed, folder)
            results.add(found)
        say(f"{pair.name} seed {seed}: {found['return_mean']} after {found['steps']} steps, {found['seconds']:.0f} s")
        return found

    runs = [(pair, seed) for pair in pairs for seed in arguments.seeds]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        return list(pool.map(row_of, runs))


def one(pair: Pair, seed: int, folder: Path) -> Row:
    """Trains; returns what its final evaluation says."""
    command = ["agent", "train", "--agent", pair.agent, "--env", pair.env, "--steps", str(pair.steps)]
    place, recipe = folder / pair.name, pair.recipe  # the recipe as it is now: it may be changed while this trains
    done = advdl(
        [*command, "--seed", str(seed), "--quiet"], (place / str(seed)).resolve(), (folder / "cache").resolve()
    )
    figures = done.data.get("evaluation", {})
    return {
        "pair": pair.name,
        "seed": seed,
        "return_mean": figures.get("return/mean"),
        "return_std": figures.get("return/std"),
        "return_min": figures.get("return/min"),
        "episodes": int(figures["episodes"]) if figures else None,
        "steps": done.data.get("step"),
        "kept_step": done.data.get("kept_step"),
        "seconds": done.seconds,
        "exit_code": done.code,
        "recipe": recipe,
        "commit": (git_state(ROOT) or {"commit": "none"})["commit"][:10],
    }


def report(arguments: argparse.Namespace, pairs: list[Pair], rows: list[Row]) -> Report:
    summary = [summarised(pair, rows) for pair in pairs]
    return Report(
        title="Recipes beside rl-baselines3-zoo's published scores, with its env steps",
        settings={"seeds": arguments.seeds, "runs_side_by_side": arguments.jobs},
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=[(claim(pair, line), reached(pair, line)) for pair, line in zip(pairs, summary, strict=True)],
        notes=[
            "iqm, low, high: interquartile mean over the seeds' means and its 95% bootstrap interval",
            "steps: fewer than the budget where training ended because the env was solved",
            "zoo: one run each, rl-baselines3-zoo's benchmark.md; LunarLander there is v2",
        ],
    )


def summarised(pair: Pair, rows: list[Row]) -> Row:
    mine = [row for row in rows if row["pair"] == pair.name]
    means = [row["return_mean"] for row in mine if row["return_mean"] is not None]
    low, high = bootstrap_interval(means, iqm) if means else (None, None)
    return {
        "pair": pair.name,
        "seeds": f"{len(means)} of {len(mine)}",
        "iqm": float(iqm(means)) if means else None,
        "low": low,
        "high": high,
        "worst": min(means, default=None),
        "zoo": pair.zoo,
        "budget": pair.steps,
    }


def claim(pair: Pair, line: Row) -> str:
    found = "none" if line["iqm"] is None else f"{line['iqm']:.1f}"
    return f"{pair.name} reaches {pair.asked:g} with every seed trained (IQM {found})"


def reached(pair: Pair, line: Row) -> bool:
    trained, asked = line["seeds"].split(" of ")
    return trained == asked and line["iqm"] is not None and line["iqm"] >= pair.asked


if __name__ == "__main__":
    sys.exit(main())
