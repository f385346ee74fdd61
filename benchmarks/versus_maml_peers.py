"""Meta-iterations per second on sinusoids beside PyTorch and JAX, each in a process of its own, in turns.

--part peers    25 tasks, one inner step: advdl, torch.func, a loop over tasks with autograd.grad, learn2learn, JAX
--part growth   advdl alone with 1, 5 and 10 inner steps, and with 25, 100 and 400 tasks

Each part takes some five minutes on a quiet machine with two cores. Needs: pip install torch jax optax. learn2learn
0.2.0 does not install any more (it wants qpth, whose metadata are broken), but its MAML class runs from the unpacked
source: pip download --no-deps learn2learn, unpack it, and give the folder with --learn2learn.
"""

import argparse
import sys
from pathlib import Path

from measure import Report, Row, arguments_parser, child, ratio, say, spread, workplace

PEER = str(Path(__file__).parent / "peer_maml.py")
NAMES = ("advdl", "torch-func", "torch-loop", "jax", "jax-scan")
SIZES = ((25, 1), (25, 5), (25, 10), (100, 1), (400, 1))
LEARN2LEARN = "learn2learn"
LEAST = {"torch-func": 10.0, "torch-loop": 10.0, LEARN2LEARN: 10.0, "jax": 1.0, "jax-scan": 1.0}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--part", choices=("peers", "growth"), default="peers")
    parser.add_argument("--learn2learn", default="", help="the folder of its unpacked source; it is left out if empty")
    arguments = parser.parse_args()
    peers = arguments.part == "peers"
    names = [*NAMES, LEARN2LEARN] if arguments.learn2learn else NAMES
    jobs = [(name, 25, 1) for name in names] if peers else [("advdl", tasks, steps) for tasks, steps in SIZES]
    with workplace() as folder:
        rows = [one(job, turn, folder, arguments.learn2learn) for turn in arguments.seeds for job in jobs]
    return (peer_report if peers else growth_report)(rows, arguments).emit(as_json=arguments.json)


def one(job: tuple[str, int, int], turn: int, folder: Path, source: str) -> Row:
    name, tasks, steps = job
    words = ["--learn2learn", str(Path(source).resolve())] if name == LEARN2LEARN else []
    found = child([PEER, name, "--tasks", str(tasks), "--steps", str(steps), *words], folder, folder / "cache")
    say(f"turn {turn}, {name}, {tasks} tasks, {steps} steps: {found['per_second']:,.0f}/s")
    return {"turn": turn, "name": name, "tasks": tasks, "inner_steps": steps, **found}


def peer_report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    ours = {row["turn"]: row["per_second"] for row in rows if row["name"] == "advdl"}
    summary, verdicts = [], []
    for name in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == name]
        ratios = spread([ratio(ours[row["turn"]], row["per_second"]) for row in mine])
        summary.append(
            {
                "name": name,
                **spread([row["per_second"] for row in mine]),
                "ours_over_theirs": ratios["median"],
                "ready": spread([row["ready"] for row in mine])["median"],
            }
        )
        if name in LEAST:
            claim = f"at least {LEAST[name]:.0f} times {name}'s meta-iterations per second ({ratios['median']:.2f})"
            verdicts.append((claim, ratios["median"] >= LEAST[name]))
    return Report(
        title="MAML on sinusoids beside its peers",
        settings={"tasks": 25, "inner_steps": 1, "network": "1-40-40-1", "interleaved": "all in each turn"},
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=verdicts,
        notes=["ready: seconds until the first meta-iteration is made, import and compile included"],
        peers=("torch", "jax", "optax"),
    )


def growth_report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    summary = []
    for tasks, steps in SIZES:
        mine = [row for row in rows if (row["tasks"], row["inner_steps"]) == (tasks, steps)]
        speed = spread([row["per_second"] for row in mine])["median"]
        peak = spread([row["peak_mb"] for row in mine])["median"]
        summary.append({"tasks": tasks, "inner_steps": steps, "per_second": speed, "ms": 1e3 / speed, "peak_mb": peak})
    base = summary[0]
    verdicts = []
    for line in summary[1:]:
        size = line["tasks"] / base["tasks"] * line["inner_steps"] / base["inner_steps"]
        grown = line["ms"] / base["ms"]
        claim = f"{size:.0f} times the work takes at most {size:.0f} times as long ({grown:.1f})"
        verdicts.append((claim, grown <= size))
    return Report(
        title="MAML on sinusoids: growth with inner steps and tasks",
        settings={"network": "1-40-40-1", "interleaved": "all in each turn"},
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=verdicts,
        notes=["peak_mb: ru_maxrss of the process, import and compile included"],
    )


if __name__ == "__main__":
    sys.exit(main())
