"""CartPole with other masses, lengths, gravity and force: adapted on 5 episodes, on physics that training never met.

10 tasks are drawn from the family's ranges; on each, `advdl agent adapt` plays 5 episodes, adapts, and the resulting
run is judged without exploration on 100 episodes with those physics. Beside it:

- ppo on the family: the same clipped objective on the same family and as many env steps, without a step of adaptation
  in training; judged as it is, and after the same 5 episodes
- from scratch: `advdl agent train --agent ppo` on that task alone, for as many env steps as 5 episodes may have
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from measure import Report, Row, advdl, arguments_parser, only_run, say, sets, workplace

RANGES = {"gravity": (5.0, 20.0), "masspole": (0.05, 0.5), "length": (0.25, 1.0), "force_mag": (5.0, 15.0)}
SOLVED, EPISODES, LIMIT = 475.0, 5, 500
VARIANTS: dict[str, dict[str, Any]] = {"maml": {}, "ppo on the family": {"adapter.steps": 0}}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0")
    parser.add_argument("--iterations", type=int, default=100, help="meta-iterations of at most 100,000 env steps")
    parser.add_argument("--tasks", type=int, default=10, help="held-out tasks")
    arguments = parser.parse_args()
    tasks = drawn(arguments.tasks)
    with workplace() as folder:
        rows = [row for seed in arguments.seeds for row in one_seed(seed, tasks, arguments.iterations, folder)]
    return report(rows, arguments).emit(as_json=arguments.json)


def drawn(count: int) -> list[dict[str, float]]:
    """Draws physics from a generator that no training uses."""
    generator = np.random.default_rng(20_260_000)
    return [{name: round(float(generator.uniform(*ends)), 3) for name, ends in RANGES.items()} for _ in range(count)]


def one_seed(seed: int, tasks: list[dict[str, float]], iterations: int, folder: Path) -> list[Row]:
    cache, runs = folder / "cache", {}
    for name, settings in VARIANTS.items():
        home = folder / f"{name.replace(' ', '-')}-{seed}"
        command = ["meta", "train", "--tasks", "physics", "--adapter", "maml", "--steps", str(iterations)]
        done = advdl([*command, "--seed", str(seed), "--quiet", *sets(settings)], home, cache)
        runs[name] = only_run(home)
        say(f"{name}, seed {seed}: {done.data.get('evaluation', {})}")
    return [one_task(index, params, seed, runs, folder, cache) for index, params in enumerate(tasks)]


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
    say(f"task {index}, seed {seed}: {row}")
    return row


def report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    columns = [f"{name}_{when}" for name in VARIANTS for when in ("before", "after")] + ["from_scratch"]
    reached = {column: sum((row[column] or 0.0) >= SOLVED for row in rows) for column in columns}
    wanted = 0.8 * len(rows)
    return Report(
        title="CartPole's physics, 5 episodes of adaptation",
        settings={"iterations": arguments.iterations, "meta_batch": 20, "ranges": str(RANGES)},
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
            ("trained from scratch for as long it does not", reached["from_scratch"] < wanted),
        ],
        notes=["tasks that a policy solves before it adapts leave adaptation nothing to gain: see both columns"],
    )


if __name__ == "__main__":
    sys.exit(main())
