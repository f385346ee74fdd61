"""Is a run that was killed again and again the same, bit for bit, as the run that never was?

Trains DQN on CartPole in the compiled engine twice from one seed. One run is left alone. The other is killed with
SIGKILL at random moments (imports, compiling, training, evaluating, saving, as they come) and resumed each time;
then it ends in peace. Compared: every tensor of the last and of the best checkpoint (variables, optimizer slots,
target network, replay, live envs, counters), their meta data, every line of `metrics.jsonl` but the times in it, and
every line of `evaluations.jsonl`.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import (
    Report,
    Row,
    advdl,
    arguments_parser,
    finish,
    journal,
    launch,
    only_run,
    say,
    sets,
    spread,
    workplace,
)

SETTINGS = {
    "agent.name": "dqn",
    "agent.buffer_size": 5_000,  # small, so that checkpoints may come often
    "evaluation.every": 25_000,
    "evaluation.episodes": 20,
    "evaluation.stop_at": "never",
    "checkpoint.every_seconds": 0.2,
    "checkpoint.max_share": 0.2,
    "checkpoint.max_share": 1.0,
    "log.every": 1_000,
}
MOMENTS = {"starting": 0.2, "training": 0.6, "saving": 0.2}
"""How often a kill may come before training goes on (imports, restoring, tracing, compiling), at any time after that
(training, evaluating, logging, saving), or is held back until a checkpoint is being written: saves are short."""


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0")
    parser.add_argument("--kills", type=int, default=30, help="for each seed")
    parser.add_argument("--steps", type=int, default=400_000, help="enough that the last kill finds it training")
    parser.add_argument("--longest", type=float, default=3.0, help="most seconds from a checkpoint to a kill")
    arguments = parser.parse_args()
    rows, verdicts = [], []
    with workplace() as folder:
        for seed in arguments.seeds:
            kills, claims = one(arguments, seed, folder / f"{seed}")
            rows += kills
            verdicts += claims
    return report(arguments, rows, verdicts).emit(as_json=arguments.json)


def one(arguments: argparse.Namespace, seed: int, folder: Path) -> tuple[list[Row], list[tuple[str, bool]]]:
    cache = folder / "cache"
    command = ["agent", "train", "--env", "CartPole", "--steps", str(arguments.steps), "--seed", str(seed)]
    command += ["--quiet", *sets(SETTINGS)]
    whole = advdl(command, folder / "whole", cache)
    if whole.code:
        raise SystemExit(f"the run that is left alone failed with {whole.code}")
    say(f"seed {seed}: left alone {whole.seconds:.1f} s")
    kills = kill(arguments, command, seed, folder / "killed", cache)
    run = existing(folder / "killed")
    ended = advdl(["runs", "resume", str(run), "--quiet"], folder / "killed", cache)
    if ended.code:
        raise SystemExit(f"the last resume failed with {ended.code}")
    landed = sum(row["killed"] for row in kills)
    claims = [(f"seed {seed}: {landed} of {arguments.kills} kills found it alive", landed == arguments.kills)]
    return kills, claims + compare(existing(folder / "whole"), run, seed)


def kill(arguments: argparse.Namespace, command: list[str], seed: int, folder: Path, cache: Path) -> list[Row]:
    """Begins a run and kills it ``--kills`` times; each life but the first is a resume."""
    dice, rows = random.Random(seed), []
    for number in range(1, arguments.kills + 1):
        run = only_run(folder)
        words = ["runs", "resume", str(run), "--quiet"] if run else command
        moment = dice.choices(list(MOMENTS), list(MOMENTS.values()))[0] if run else "training"
        row = life(launch(words, folder, cache), folder, dice, arguments.longest, moment)
        rows.append({"seed": seed, "kill": number, **row})
        say(f"kill {number}: {row}")
        if not row["killed"]:
            break
    return rows


def life(process: "subprocess.Popen[str]", folder: Path, dice: random.Random, longest: float, moment: str) -> Row:
    """Lets a process live until a random moment, then kills it; says what it left behind."""
    began, saves = time.perf_counter(), Saves(folder)
    if moment == "starting":
        wait(process, dice.uniform(0.0, 4.0 * longest))
    else:
        needed = dice.choice((1, 2, 2))  # the first one comes with the first step; the second one is progress
        wait_for(process, lambda: saves.count() >= needed)
        wait(process, dice.uniform(0.0, longest))
    if moment == "saving":
        wait_for(process, lambda: unfinished(folder))
        time.sleep(dice.uniform(0.0, 0.02))
    row = {"moment": moment, "seconds": time.perf_counter() - began, "saves": saves.count()}
    alive = process.poll() is None
    process.kill()
    done = finish(process, 0.0)
    if not alive and done.code:
        raise SystemExit(f"the run failed with {done.code}: {(folder / 'stderr.txt').read_text()[-500:]}")
    run = only_run(folder)
    return row | {
        "killed": alive,
        "logged_step": max([0, *(line["step"] for line in journal(run / "metrics.jsonl"))]) if run else 0,
        "saved_step": max(saved(run), default=0) if run else 0,
        "half_saved": unfinished(folder),
    }


def wait(process: "subprocess.Popen[str]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def wait_for(process: "subprocess.Popen[str]", sign: Callable[[], bool]) -> None:
    while process.poll() is None and not sign():
        time.sleep(0.001)


def unfinished(folder: Path) -> bool:
    """Whether a checkpoint lies there half-written."""
    return any(folder.glob("runs/*/*/*/checkpoints/.tmp-step-*"))


class Saves:
    """Counts the checkpoints that a run publishes from now on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = self._seen = {0, *self._steps()}

    def count(self) -> int:
        self._seen = self._seen.union(self._steps())
        return len(self._seen - self._before)

    def _steps(self) -> list[int]:
        run = only_run(self._folder)
        return saved(run) if run else []


def saved(run: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*")]


def existing(folder: Path) -> Path:
    run = only_run(folder)
    if run is None:
        raise SystemExit(f"no run was begun in {folder}")
    return run


def compare(whole: Path, killed: Path, seed: int) -> list[tuple[str, bool]]:
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    from advdl.training.checkpoint import CheckpointStore

    ours, theirs = CheckpointStore(whole / "checkpoints"), CheckpointStore(killed / "checkpoints")
    claims = []
    for name, step, other in (
        ("last", ours.steps()[-1], theirs.steps()[-1]),
        ("best", ours.best(), theirs.best()),
    ):
        if step is None or step != other:
            claims.append((f"seed {seed}: {name} checkpoint, step {step} and step {other}", False))
            continue
        count, unlike = tensors(ours.read(step), theirs.read(step))
        equal = not unlike and ours.meta(step) == theirs.meta(step)
        claims.append((f"seed {seed}: {name} checkpoint, step {step}: {count} tensors equal {unlike[:3] or ''}", equal))
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        left, right = ([timeless(line) for line in journal(run / name)] for run in (whole, killed))
        claims.append((f"seed {seed}: {name}, {len(left)} lines equal", bool(left) and left == right))
    return claims


def tensors(left: Any, right: Any) -> tuple[int, list[str]]:
    """Counts the tensors and names those of which a bit differs."""
    names = sorted({*left, *right})
    return len(names), [name for name in names if bits(left.get(name)) != bits(right.get(name))]


def bits(array: Any) -> Any:
    return None if array is None else (array.dtype, array.shape, array.tobytes())


def timeless(line: Row) -> Row:
    return {key: value for key, value in line.items() if not key.startswith("time/")}


def report(arguments: argparse.Namespace, rows: list[Row], verdicts: list[tuple[str, bool]]) -> Report:
    return Report(
        title="SIGKILL at random moments, resumed each time: bit for bit the run that was left alone",
        settings={"seeds": arguments.seeds, "kills": arguments.kills, "steps": arguments.steps, **SETTINGS},
        load=arguments.load,
        rows=rows,
        summary=[
            {"figure": "seconds of a life", **spread([row["seconds"] for row in rows])},
            {"figure": "saved step", **spread([row["saved_step"] for row in rows])},
        ],
        verdicts=verdicts,
        notes=[
            "saves: checkpoints of that life; half saved: the kill left an unfinished checkpoint behind",
            "logged and saved step: the last line of metrics.jsonl and the newest checkpoint that the kill left",
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
