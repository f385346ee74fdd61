"""What a checkpoint costs: seconds to save and to restore, and the share of a default CartPole run that saving takes.

Every save writes, hashes and syncs; every restore verifies all hashes. Beside each save the same number of bytes is
written and synced as one plain file, in turns: what the disk alone takes.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Report, Row, arguments_parser, environment, say, spread, workplace

if TYPE_CHECKING:
    import tensorflow as tf

    from advdl.training.checkpoint import CheckpointStore

ALLOWED_SHARE = 0.01

TIMED = """
import json, sys, time
from advdl.training.backend import start_tensorflow
start_tensorflow()
from advdl.training.checkpoint import CheckpointStore
plain, seconds = CheckpointStore.save, []
def save(*arguments, **options):
    began = time.perf_counter()
    try:
        return plain(*arguments, **options)
    finally:
        seconds.append(time.perf_counter() - began)
CheckpointStore.save = save
from advdl.cli.app import main
try:
    code = main()
finally:
    print(json.dumps(seconds), file=sys.stderr)
sys.exit(code)
"""


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 440], help="MB")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, help="another budget for the CartPole runs than the default one")
    arguments = parser.parse_args()
    with workplace() as folder:
        runs = [share(seed, folder / f"run-{seed}", arguments.steps) for seed in arguments.seeds]
        rows = [row for size in arguments.sizes for row in costs(size, arguments.repeats, folder / f"{size}")]
    return report(arguments, rows, runs).emit(as_json=arguments.json)


def costs(size: int, repeats: int, folder: Path) -> list[Row]:
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    from advdl.training.checkpoint import CheckpointStore

    state = variables(size)
    store = CheckpointStore(folder, keep_last=1)
    rows = [once(store, state, size, repeat) for repeat in range(repeats + 1)][1:]  # the first one warms up
    say(f"{size} MB: save {spread([row['save_s'] for row in rows])['median']:.3f} s")
    return rows


def variables(size: int) -> "dict[str, tf.Variable]":
    """Makes float32 variables of ``size`` MB, 2 MB each: the shape of a network's weights."""
    import tensorflow as tf

    shape = (500, 1000)
    return {
        f"layer_{index}/kernel": tf.Variable(tf.random.stateless_normal(shape, (0, index)))
        for index in range(size * 1_000_000 // (4 * shape[0] * shape[1]))
    }


def once(store: "CheckpointStore", state: "dict[str, tf.Variable]", size: int, repeat: int) -> Row:
    content = os.urandom(1_000_000)
    plain = timed(lambda: write_plainly(store.folder.with_suffix(".plain"), content, size))
    save = timed(lambda: store.save(repeat, state, {"repeat": repeat}))
    restore = timed(lambda: store.restore(state))
    return {
        "size_mb": size,
        "repeat": repeat,
        "save_s": save,
        "plain_write_s": plain,
        "ratio": save / plain,
        "restore_s": restore,
    }


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def write_plainly(path: Path, content: bytes, times: int) -> None:
    with path.open("wb") as file:
        for _ in range(times):
            file.write(content)
        file.flush()
        os.fsync(file.fileno())


def share(seed: int, folder: Path, steps: int | None) -> Row:
    """Trains CartPole by the default command with every save timed from within."""
    folder.mkdir()
    budget = ["--steps", str(steps)] if steps else []
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", TIMED, "agent", "train", "--env", "CartPole", "--seed", str(seed), "--quiet", *budget],
        cwd=folder,
        env=environment(folder / "cache"),
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - began
    saves = json.loads(next(line for line in done.stderr.splitlines()[::-1] if line.startswith("[")))
    row = {
        "figure": f"CartPole run, seed {seed}",
        "saves": len(saves),
        "saving_s": sum(saves),
        "run_s": seconds,
        "share": sum(saves) / seconds,
    }
    say(f"{row['figure']}: {row['saving_s']:.2f} of {seconds:.1f} s")
    return row


def report(arguments: argparse.Namespace, rows: list[Row], runs: list[Row]) -> Report:
    figures = ("save_s", "plain_write_s", "ratio", "restore_s")
    summary = [
        {
            "figure": f"{size} MB {figure}",
            **spread([row[figure] for row in rows if row["size_mb"] == size]),
        }
        for size in arguments.sizes
        for figure in figures
    ]
    summary += [
        {"figure": f"CartPole {figure}", **spread([run[figure] for run in runs])}
        for figure in ("saves", "saving_s", "run_s", "share")
    ]
    middle = spread([run["share"] for run in runs])["median"]
    return Report(
        title="Checkpoints: seconds to save and to restore",
        settings={"repeats": arguments.repeats, "seeds": arguments.seeds, "steps": arguments.steps or "default"},
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=[(f"saving takes at most 1% of a default CartPole run ({middle:.2%})", middle <= ALLOWED_SHARE)],
        notes=[f"{run['figure']}: {run['saves']} saves, {run['saving_s']:.3f} of {run['run_s']:.1f} s" for run in runs],
    )


if __name__ == "__main__":
    sys.exit(main())
