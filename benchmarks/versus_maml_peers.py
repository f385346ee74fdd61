"""Meta-iterations per second on sinusoids beside PyTorch and JAX, each in a process of its own, in turns.

--part peers    25 tasks, one inner step: advdl, torch.func, a loop over tasks with autograd.grad, learn2learn, JAX
--part growth   advdl alone with 1, 5 and 10 inner steps, and with 25, 100 and 400 tasks; all sizes are there at once,
                and a round of turns of about a second each is made five times for every seed

Each part takes some five minutes on a quiet machine with two cores. Needs: pip install torch jax optax. learn2learn
0.2.0 does not install any more (it wants qpth, whose metadata are broken), but its MAML class runs from the unpacked
source: pip download --no-deps learn2learn, unpack it, and give the folder with --learn2learn.
"""

import argparse
import sys
from pathlib import Path

from measure import Report, Row, arguments_parser, child, ratio, say, spread, workplace
from turns import Process

PEER = str(Path(__file__).parent / "peer_maml.py")
NAMES = ("advdl", "torch-func", "torch-loop", "jax", "jax-scan")
ROUNDS = 5
SIZES = ((25, 1), (25, 5), (25, 10), (100, 1), (400, 1))
LEARN2LEARN = "learn2learn"
LEAST = {"torch-func": 10.0, "torch-loop": 10.0, LEARN2LEARN: 10.0, "jax": 1.0, "jax-scan": 1.0}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--part", choices=("peers", "growth"), default="peers")
    parser.add_argument("--learn2learn", default="", help="the folder of its unpacked source; it is left out if empty")
    arguments = parser.parse_args()
    if arguments.part == "growth":
        return growth_report(sizes_in_turns(ROUNDS * len(arguments.seeds)), arguments).emit(as_json=arguments.json)
    names = [*NAMES, LEARN2LEARN] if arguments.learn2learn else NAMES
    with workplace() as folder:
        rows = [one(name, turn, folder, arguments.learn2learn) for turn in arguments.seeds for name in names]
    return peer_report(rows, arguments).emit(as_json=arguments.json)


def one(name: str, turn: int, folder: Path, source: str) -> Row:
    words = ["--learn2learn", str(Path(source).resolve())] if name == LEARN2LEARN else []
    found = child([PEER, name, *words], folder, folder / "cache")
    say(f"turn {turn}, {name}: {found['per_second']:,.0f}/s")
    return {"turn": turn, "name": name, **found}


def sizes_in_turns(rounds: int) -> list[Row]:
    """Lets every size train for about a second, round after round; a row is a size's turn."""
    processes = {size: Process("peer_maml_growth.py", "advdl", "{}x{}".format(*size)) for size in SIZES}
    counts = {size: max(3, round(1e3 / processes[size].milliseconds(20))) for size in SIZES}
    rows = []
    for number in range(rounds):
        for size, process in processes.items():
            taken = process.milliseconds(counts[size])
            facts = {"round": number, "tasks": size[0], "inner_steps": size[1]}
            rows.append({**facts, "ms": taken, "peak_mb": process.peak_mb})
    for process in processes.values():
        process.close()
    return rows


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
    first = [row["ms"] for row in rows if (row["tasks"], row["inner_steps"]) == SIZES[0]]
    summary, verdicts = [], []
    for tasks, steps in SIZES:
        mine = [row for row in rows if (row["tasks"], row["inner_steps"]) == (tasks, steps)]
        grown = spread([row["ms"] / base for row, base in zip(mine, first, strict=True)])
        middle, size = spread([row["ms"] for row in mine])["median"], tasks * steps // (SIZES[0][0] * SIZES[0][1])
        facts = {"tasks": tasks, "inner_steps": steps, "work": size, "ms": middle, "per_second": 1e3 / middle}
        summary.append(
            {**facts, **{f"times_{name}": value for name, value in grown.items()}, "peak_mb": mine[-1]["peak_mb"]}
        )
        if size > 1:
            claim = f"{size} times the work takes at most {size} times as long ({grown['median']:.1f})"
            verdicts.append((claim, grown["median"] <= size))
    return Report(
        title="MAML on sinusoids: growth with inner steps and tasks",
        settings={"network": "1-40-40-1", "rounds": len(first), "interleaved": "all in each round"},
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=verdicts,
        notes=[
            "times: a turn beside the smallest size's of the same round",
            "peak_mb: ru_maxrss of the process, import and compile included",
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
