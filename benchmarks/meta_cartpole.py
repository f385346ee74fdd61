"""CartPole with other masses, lengths, gravity and force: adapted on 5 episodes, on physics that training never met.

A force is negative in one task of two: there the same action pushes the other way. A policy sees neither the force nor
what its last action did, so none can balance both halves of the family as it is; with positive forces alone one policy
balances the whole family, and there is nothing to adapt to.

10 tasks are drawn from the family, 5 of either sign; on each, `advdl agent adapt` plays 5 episodes, adapts, and the
resulting run is judged without exploration on 100 episodes with those physics. Beside it:

- ppo on the family: the same clipped objective on the same family and as many env steps, without a step of adaptation
  in training; judged as it is, and after the same 5 episodes
- from scratch: `advdl agent train --agent ppo` on that task alone, for as many env steps as 5 episodes may have
"""

import argparse
import contextlib
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from measure import Report, Row, advdl, arguments_parser, only_run, recipe_digest, say, sets, workplace
from results import Results

RANGES = {"gravity": (5.0, 20.0), "masspole": (0.05, 0.5), "length": (0.25, 1.0), "force_mag": (5.0, 15.0)}
MIRRORED = "force_mag"
SOLVED, EPISODES, LIMIT = 475.0, 5, 500
VARIANTS: dict[str, dict[str, Any]] = {"maml": {}, "ppo on the family": {"adapter.steps": 0}}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0")
    parser.add_argument("--iterations", type=int, default=120, help="meta-iterations of at most 100,000 env steps")
    parser.add_argument("--tasks", type=int, default=10, help="held-out tasks")
    parser.add_argument(
        "--results", type=Path, help="a file that keeps finished rows; runs are kept in a folder beside it"
    )
    arguments = parser.parse_args()
    tasks = drawn(arguments.tasks)
    results = Results(arguments.results, recipe_digest("advdl_meta/recipes/physics.toml"))
    with contextlib.ExitStack() as stack:
        place = arguments.results.with_suffix("") if arguments.results else stack.enter_context(workplace())
        rows = [row for seed in arguments.seeds for row in one_seed(seed, tasks, arguments.iterations, place, results)]
    return report(rows, arguments).emit(as_json=arguments.json)


def drawn(count: int) -> list[dict[str, float]]:
    """Draws physics from a generator that no training uses; every other task is mirrored."""
    generator = np.random.default_rng(20_260_000)
    tasks = [{name: round(float(generator.uniform(*ends)), 3) for name, ends in RANGES.items()} for _ in range(count)]
    return [{**task, MIRRORED: (-1) ** index * task[MIRRORED]} for index, task in enumerate(tasks)]


def one_seed(seed: int, tasks: list[dict[str, float]], iterations: int, folder: Path, results: Results) -> list[Row]:
    cache, runs = folder / "cache", {name: trained(name, seed, iterations, folder) for name in VARIANTS}
    return [
        results.row(
            lambda index=index, params=params: one_task(index, params, seed, runs, folder, cache),
            seed=seed,
            task=index,
            iterations=iterations,
        )
        for index, params in enumerate(tasks)
    ]


def trained(name: str, seed: int, iterations: int, folder: Path) -> Path | None:
    """Meta-trains, or goes on with a run that was stopped."""
    home = folder / f"{name.replace(' ', '-')}-{seed}"
    run = only_run(home)
    if run is None:
        command = ["meta", "train", "--tasks", "physics", "--adapter", "maml", "--steps", str(iterations)]
        fixed = {"tasks.mirrored": json.dumps([MIRRORED]), "evaluation.every": 0, "evaluation.steps": [0, 1]}
        command += ["--seed", str(seed), "--quiet", *sets({**fixed, **VARIANTS[name]})]
    else:
        command = ["runs", "resume", str(run), "--steps", str(iterations), "--quiet"]
    if run is None or json.loads((run / "run.json").read_text())["status"] != "done":
        say(f"{name}, seed {seed}: {advdl(command, home, folder / 'cache').data.get('evaluation', {})}")
    return only_run(home)


def one_task(
    index: int, params: dict[str, float], seed: int, runs: dict[str, Path | None], folder: Path, cache: Path
) -> Row:
    env = "CartPole-v1?" + "&".join(f"{name}={value}" for name, value in params.items())
    row: Row = {"seed": seed, "task": index, **params}
    for name, run in runs.items():
        command = ["agent", "adapt", str(run), "--env", env, "--episodes", str(EPISODES), "--quiet"]
        data = advdl(command, folder / f"adapted-{seed}-{index}", cache).data
        for when in ("before", "after"):
            row[f"{name}_{when}"] = data.get(when, {}).get("return/mean")
    options = {f"env.options.params.{name}": value for name, value in params.items()}
    settings = {**options, "evaluation.every": 0, "evaluation.stop_at": "never"}
    command = ["agent", "train", "--env", "CartPole-v1", "--agent", "ppo", "--steps", str(EPISODES * LIMIT)]
    done = advdl([*command, "--seed", str(seed), "--quiet", *sets(settings)], folder / f"scratch-{seed}-{index}", cache)
    row["from_scratch"] = done.data.get("evaluation", {}).get("return/mean")
    return row


def report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    columns = [f"{name}_{when}" for name in VARIANTS for when in ("before", "after")] + ["from_scratch"]
    reached = {column: sum((row[column] or 0.0) >= SOLVED for row in rows) for column in columns}
    wanted = 0.8 * len(rows)
    return Report(
        title="CartPole's physics, 5 episodes of adaptation",
        settings={"iterations": arguments.iterations, "ranges": str(RANGES), "mirrored": MIRRORED},
        load=arguments.load,
        rows=rows,
        summary=[
            {
                "policy": column.replace("_", " "),
                "mean_return": statistics.mean(row[column] or 0.0 for row in rows),
                "tasks_at_475": reached[column],
            }
            for column in columns
        ],
        verdicts=[
            (
                f"after 5 episodes the meta-trained policy reaches 475 on 8 of 10 tasks ({reached['maml_after']} of "
                f"{len(rows)})",
                reached["maml_after"] >= wanted,
            ),
            (
                f"before them it does not ({reached['maml_before']}), so the family needs adaptation",
                reached["maml_before"] < wanted,
            ),
            *(
                (f"{what} does not ({reached[column]})", reached[column] < wanted)
                for what, column in (
                    ("PPO on the family", "ppo on the family_before"),
                    ("PPO on the family after the same 5 episodes", "ppo on the family_after"),
                    ("PPO from scratch on that task alone", "from_scratch"),
                )
            ),
        ],
        notes=["a force below 0 pushes the other way"],
    )


if __name__ == "__main__":
    sys.exit(main())
