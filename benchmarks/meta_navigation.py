"""Meta-reinforcement learning on 2D navigation (Finn et al. 2017): returns after 0 to 3 steps on 40 held-out goals.

Beside them: the published returns (TRPO, from the paper's appendix), and a control that is trained on all goals at
once, without a step of adaptation in training, for as many env steps. The share of the rate that later steps take,
0.25, was chosen on the goals of the runs' own evaluations; these 40 are others, from a seed that no choice has seen.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

from measure import Report, Row, advdl, arguments_parser, only_run, recipe_digest, sets, workplace
from results import Results

STEPS = (0, 1, 2, 3)
GOALS, GOALS_SEED = 40, 20_261_126
PUBLISHED = (-40.41, -11.68, -3.33, -3.23)
VARIANTS: dict[str, dict[str, Any]] = {
    "maml": {"adapter.later": 0.25},
    "pretrained": {"adapter.steps": 0, "adapter.later": 0.25},
}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--iterations", type=int, default=300, help="meta-iterations, 80,000 env steps each")
    parser.add_argument(
        "--results", type=Path, help="a file that keeps finished runs, so that the rest can be made later"
    )
    arguments = parser.parse_args()
    results = Results(arguments.results, recipe_digest("advdl_meta/recipes/navigation.toml"))
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
    fixed = {"adapter.name": "maml", "evaluation.every": 0, "evaluation.tasks": 1, "evaluation.steps": [0, 1]}
    command = ["meta", "train", "--tasks", "navigation", "--steps", str(iterations), "--seed", str(seed), "--quiet"]
    home = folder / f"{name}-{seed}"
    done = advdl([*command, *sets({**fixed, **VARIANTS[name]})], home, folder / "cache")
    words = ["--steps", ",".join(map(str, STEPS)), "--tasks", str(GOALS), "--seed", str(GOALS_SEED)]
    figures = advdl(["meta", "evaluate", str(only_run(home)), *words], home, folder / "cache").data
    row: Row = {"name": name, "seed": seed}
    for step in STEPS:
        row[f"after_{step}"] = figures.get(f"return/after_{step}")
        row[f"interval_{step}"] = figures.get(f"return/after_{step}/interval")
    return {**row, "seconds": done.seconds, "exit_code": done.code}


def report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    summary = [summarised(name, rows) for name in VARIANTS]
    published = {f"after_{step}": value for step, value in zip(STEPS, PUBLISHED, strict=True)}
    maml, control = summary
    ahead = maml["after_1"] - control["after_1"]
    return Report(
        title="2D navigation",
        settings={
            "iterations": arguments.iterations,
            "tasks": 20,
            "episodes": 20,
            "held_out_goals": GOALS,
            "goals_seed": GOALS_SEED,
        },
        load=arguments.load,
        rows=rows,
        summary=[*summary, {"name": "published", **published}],
        verdicts=[
            (
                f"after 3 steps the return is at least the published one ({maml['after_3']:.2f}, {PUBLISHED[3]})",
                maml["after_3"] >= PUBLISHED[3],
            ),
            (f"after 1 step it is 15 better than the control's ({ahead:.1f})", ahead >= 15),
        ],
        notes=["seconds: from process start to process end; the compile cache is shared by the runs"],
    )


def summarised(name: str, rows: list[Row]) -> Row:
    mine = [row for row in rows if row["name"] == name]
    means = {f"after_{step}": statistics.mean(row[f"after_{step}"] for row in mine) for step in STEPS}
    return {"name": name, **means}


if __name__ == "__main__":
    sys.exit(main())
