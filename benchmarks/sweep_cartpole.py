"""Does a sweep survive being killed, and does it find settings that solve CartPole sooner than the default recipe?

`advdl sweep run` with 20 trials, objective steps-to-target 475, is killed with SIGKILL in the middle and started again
by its name. Counted are the finished trials that were lost. Then the default recipe and the best settings are trained
with seeds that the search never saw, and the seconds and steps to the first evaluation of 475 are compared. The claim
that the best beats the default may fail; then the table says so.
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from measure import Report, Row, advdl, arguments_parser, finish, journal, launch, only_run, say, spread, workplace

TARGET = 475.0
SEARCHES = (
    "optimizer.learning_rate.start=log:5e-4:8e-3",
    "agent.target_every=int:8:128:8",
    "agent.updates=int:32:128:16",
    "agent.epsilon.over=float:0.05:0.25",
)
TRAIN = ["agent", "train", "--env", "CartPole", "--steps", "50000"]


def main() -> int:
    parser = arguments_parser(__doc__, seeds="100-104")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    with workplace() as folder:
        sweep = searched(folder / "sweep", given)
        best = sweep["best"]["params"]
        rows = [pair(seed, best, folder) for seed in given.seeds]
    return report(sweep, rows, given).emit(as_json=given.json)


def searched(folder: Path, given: argparse.Namespace) -> Row:
    """Searches, with a SIGKILL once half of the trials are finished."""
    searches = [word for search in SEARCHES for word in ("--search", search)]
    aim = ["--objective", "steps-to-target", "--target", str(TARGET), "--trials", str(given.trials)]
    jobs = ["--jobs", str(given.jobs)]
    began = time.perf_counter()
    process = launch(["sweep", "run", "--name", "s", *searches, *aim, *jobs, "--", *TRAIN], folder, folder / "cache")
    while process.poll() is None and ended(folder) < given.trials // 2:
        time.sleep(0.2)
    time.sleep(3.0)  # into the next trial
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = shown(folder)
    say(f"killed with {before['finished']} trials finished")
    again = ["sweep", "run", "--name", "s", "--trials", str(given.trials), *jobs, "--json"]
    done = finish(launch(again, folder, folder / "cache"), time.perf_counter())
    if done.code:
        raise SystemExit((folder / "stderr.txt").read_text()[-1000:])
    return {**done.data, "before": before, "seconds": time.perf_counter() - began}


def ended(folder: Path) -> int:
    file = folder / "stderr.txt"
    return sum(line.endswith("]") for line in file.read_text().splitlines()) if file.exists() else 0


def shown(folder: Path) -> Row:
    return advdl(["sweep", "show", "s", "--no-plots"], folder, folder / "cache").data


def pair(seed: int, best: Row, folder: Path) -> Row:
    row: Row = {"seed": seed}
    for name, settings in (("default", {}), ("best", best)):
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
        here = folder / f"{name}-{seed}"
        command = [*TRAIN, "--seed", str(seed), "--set", f"evaluation.stop_at={TARGET}", "--quiet", *sets]
        advdl(command, here, folder / "sweep" / "cache")
        run = only_run(here)
        lines = journal(run / "evaluations.jsonl") if run else []
        reached = next((line for line in lines if line["score"] >= TARGET), None)
        row[f"{name}_steps"] = reached["step"] if reached else None
        row[f"{name}_seconds"] = reached["time/seconds"] if reached else None
    say(f"seed {seed}: {row}")
    return row


def report(sweep: Row, rows: list[Row], given: argparse.Namespace) -> Report:
    before = {trial["number"]: trial["value"] for trial in sweep["before"]["trials"] if trial["state"] == "done"}
    after = {trial["number"]: trial["value"] for trial in sweep["trials"] if trial["state"] == "done"}
    lost = [number for number, value in before.items() if after.get(number) != value]
    summary = [{"figure": name, **spread([row[name] for row in rows])} for name in rows[0] if name != "seed"]
    medians = {row["figure"]: row["median"] for row in summary}

    def better(what: str) -> bool:
        best, default = medians[f"best_{what}"], medians[f"default_{what}"]
        missed = sum(row[f"best_{what}"] is None for row in rows) > sum(row[f"default_{what}"] is None for row in rows)
        return best is not None and default is not None and best < default and not missed

    return Report(
        title="A sweep of CartPole, killed in the middle and resumed",
        settings={
            "trials": given.trials,
            "jobs": given.jobs,
            "objective": f"steps to {TARGET:.0f}",
            "sweep_seconds": sweep["seconds"],
            **sweep["best"]["params"],
        },
        load=given.load,
        rows=rows,
        summary=summary,
        verdicts=[
            (f"of {len(before)} trials finished before the kill none is lost (lost: {len(lost)})", not lost),
            (f"{sweep['finished']} of {given.trials} trials are finished", sweep["finished"] == given.trials),
            ("the best settings reach 475 in fewer steps than the default recipe (medians)", better("steps")),
            ("the best settings reach 475 in less time than the default recipe (medians)", better("seconds")),
        ],
        notes=["seconds: building, training, evaluations and checkpoints of the run, imports apart"],
    )


if __name__ == "__main__":
    sys.exit(main())
