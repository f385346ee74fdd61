"""Do float16 and bfloat16 runs reach float32's quality? DQN on CartPole, and a VAE on scikit-learn's digits.

Each is trained with the same settings and seeds in the three precisions. CartPole: the final evaluation of the default
recipe, 100 episodes. VAE: the negative bound of held-out digits, in nats an image; lower is better. A precision reaches
float32's quality if its median is no worse than float32's worst seed, and on CartPole also if it solves the env. The
number of skipped updates and of overflows says what dynamic loss scaling had to do.
"""

import argparse
import statistics
import sys
from pathlib import Path

from measure import Report, Row, advdl, arguments_parser, journal, only_run, say, sets, workplace

PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
SOLVED = 475.0
VAE_SETTINGS = {
    "sampler.network": "dense",
    "sampler.latent": 10,
    "sampler.units": "[256,256]",
    "optimizer.learning_rate": 1e-3,
    "model.batch_size": 128,
    "evaluation.every": 500,
}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--only", choices=("cartpole", "vae"), help="one of the two alone")
    parser.add_argument("--steps", type=int, help="another budget than CartPole's recipe's, in env steps")
    parser.add_argument("--updates", type=int, default=2_700, help="the VAE's updates (2700)")
    given = parser.parse_args()
    tasks = [given.only] if given.only else ["cartpole", "vae"]
    with workplace() as folder:
        rows = [
            one(task, precision, seed, folder, given)
            for task in tasks
            for seed in given.seeds
            for precision in PRECISIONS
        ]
    return report(rows, tasks, given).emit(as_json=given.json)


def one(task: str, precision: str, seed: int, folder: Path, given: argparse.Namespace) -> Row:
    here = folder / f"{task}-{precision}-{seed}"
    common = ["--seed", str(seed), "--quiet", "--set", f"precision={precision}"]
    if task == "cartpole":
        budget = ["--steps", str(given.steps)] if given.steps else []
        done = advdl(["agent", "train", "--env", "CartPole", *common, *budget], here, folder / "cache")
    else:
        words = ["model", "train", "vae", "--data", "digits", "--steps", str(given.updates), *sets(VAE_SETTINGS)]
        done = advdl([*words, *common], here, folder / "cache")
    run = only_run(here)
    final = [line for line in journal(run / "evaluations.jsonl") if line["kind"] == "final"] if run else []
    metrics = journal(run / "metrics.jsonl") if run else []
    score = final[-1]["score"] if final else None
    row = {
        "task": task,
        "precision": precision,
        "seed": seed,
        "quality": score if task == "cartpole" or score is None else -score,
        "steps": done.data.get("step"),
        "skipped": last(metrics, "skipped"),
        "overflows": last(metrics, "overflows"),
        "train_seconds": done.data.get("seconds", {}).get("train"),
        "exit_code": done.code,
    }
    say(f"{task}, {precision}, seed {seed}: {row['quality']}")
    return row


def last(metrics: list[Row], name: str) -> float | None:
    """Returns the last value of a metric whose name ends so; None where no line has it."""
    values = [value for line in metrics for key, value in line.items() if key.rpartition("/")[2] == name]
    return values[-1] if values else None


def report(rows: list[Row], tasks: list[str], given: argparse.Namespace) -> Report:
    summary, verdicts = [], []
    for task in tasks:
        qualities = {name: known(rows, task, name) for name in PRECISIONS}
        for name, values in qualities.items():
            figures = (min(values), max(values), statistics.median(values)) if values else (None, None, None)
            summary.append(
                {"task": task, "precision": name, "median": figures[2], "min": figures[0], "max": figures[1]}
            )
        for name in PRECISIONS[1:]:
            verdicts.append((f"{task}: {name} reaches float32's quality", reaches(task, qualities, name, given)))
    return Report(
        title="float16 and bfloat16 beside float32",
        settings={"cartpole": given.steps or "default recipe", "vae_updates": given.updates},
        load=given.load,
        rows=rows,
        summary=summary,
        verdicts=verdicts,
        notes=["quality: CartPole's mean return (higher is better); the VAE's negative ELBO in nats (lower is better)"],
    )


def known(rows: list[Row], task: str, precision: str) -> list[float]:
    found = [row["quality"] for row in rows if row["task"] == task and row["precision"] == precision]
    return [quality for quality in found if quality is not None]


def reaches(task: str, qualities: dict[str, list[float]], name: str, given: argparse.Namespace) -> bool:
    ours, theirs = qualities[name], qualities["float32"]
    if len(ours) < len(given.seeds) or not theirs:  # a run that failed is no quality
        return False
    median = statistics.median(ours)
    if task == "cartpole":
        return median >= min(*theirs, SOLVED) and (median >= SOLVED or statistics.median(theirs) < SOLVED)
    return median <= max(theirs)


if __name__ == "__main__":
    sys.exit(main())
