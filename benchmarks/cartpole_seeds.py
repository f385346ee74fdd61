"""Does the default command solve CartPole, whatever the seed?

Runs `advdl agent train --env CartPole --seed N` for each seed, in a process of its own with an empty compile
cache, and lists its final evaluation: 100 episodes of Gymnasium's CartPole-v1 that training never saw.
"""

import argparse
import sys
from pathlib import Path

from measure import Report, Row, advdl, arguments_parser, say, spreads, workplace

SOLVED, FLOOR = 475.0, 400.0


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-9")
    parser.add_argument("--steps", type=int, help="another budget than the default one, in env steps")
    arguments = parser.parse_args()
    budget = ["--steps", str(arguments.steps)] if arguments.steps else []
    with workplace() as folder:
        rows = [one(seed, folder, budget) for seed in arguments.seeds]
    return report(rows, arguments).emit(as_json=arguments.json)


def one(seed: int, folder: Path, budget: list[str]) -> Row:
    command = ["agent", "train", "--env", "CartPole", "--seed", str(seed), "--quiet", *budget]
    done = advdl(command, folder / f"seed-{seed}", folder / f"cache-{seed}")
    figures = done.data.get("evaluation", {})
    row = {
        "seed": seed,
        "return_mean": figures.get("return/mean"),
        "return_std": figures.get("return/std"),
        "return_iqm": figures.get("return/iqm"),
        "return_min": figures.get("return/min"),
        "episodes": int(figures["episodes"]) if figures else None,
        "steps": done.data.get("step"),
        "kept_step": done.data.get("kept_step"),
        "seconds": done.seconds,
        "exit_code": done.code,
    }
    say(f"seed {seed}: {row['return_mean']} after {row['steps']} steps, {done.seconds:.1f} s")
    return row


def report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    means = [row["return_mean"] or 0.0 for row in rows]
    solved, needed = sum(mean >= SOLVED for mean in means), -(-9 * len(rows) // 10)
    return Report(
        title="CartPole, default command, every seed",
        settings={"steps": arguments.steps or "default", "compile_cache": "empty for every run"},
        load=arguments.load,
        rows=rows,
        summary=spreads(rows, ("return_mean", "steps", "seconds")),
        verdicts=[
            (f"{solved} of {len(rows)} seeds reach {SOLVED:.0f} (asked: {needed})", solved >= needed),
            (f"none is under {FLOOR:.0f} (lowest: {min(means):.1f})", min(means) >= FLOOR),
        ],
        notes=["seconds: from process start to process end, imports and compile included"],
    )


if __name__ == "__main__":
    sys.exit(main())
