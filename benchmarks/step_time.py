"""What does a training step of a vision network take? Ours beside the same network in plain Keras and in PyTorch.

ResNet-18 and IMPALA's network, batches of 32 images of 84 x 84 x 4 bytes, Adam. `ours` is what `advdl model train
classifier` runs, with trainer.jit=auto; `keras` is compile and fit; `torch` is written by hand, with its channels first
as is usual and, once more, with its channels last. Each is a process of its own; they take turns, round after round.
Claim: ours takes no longer than the fastest of the others.

PyTorch's max-pooling pads alike on both sides, Keras' at the end: sizes, parameters and operations are the same.

Needs the extra: pip install 'advdl[sb3]' for torch
"""

import argparse
import statistics
import sys

from measure import Report, Row, arguments_parser, say
from peer_step_time import BATCH, CONTESTANTS, SHAPE
from turns import Process

STEPS = {"resnet18": 10, "impala": 30}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--networks", nargs="+", choices=STEPS, default=list(STEPS), help="all when left out")
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    arguments = parser.parse_args()
    rows, facts = [], {}
    for network in arguments.networks:
        found, facts[network] = rounds(network, arguments)
        rows += found
    return report(rows, facts, arguments).emit(as_json=arguments.json)


def rounds(network: str, arguments: argparse.Namespace) -> tuple[list[Row], Row]:
    contestants = {name: Process("peer_step_time.py", name, network) for name in arguments.contestants}
    facts = {name: process.facts for name, process in contestants.items()}
    say(f"{network}: {facts}")
    rows = []
    for number in arguments.seeds:
        order = list(contestants) if number % 2 else list(contestants)[::-1]
        times = {name: contestants[name].milliseconds(STEPS[network]) for name in order}
        rows.append({"network": network, "round": number, **{f"{name}_ms": times[name] for name in contestants}})
    for process in contestants.values():
        process.close()
    return rows, facts


def report(rows: list[Row], facts: Row, arguments: argparse.Namespace) -> Report:
    summary, verdicts = [], []
    for network in arguments.networks:
        own = [row for row in rows if row["network"] == network]
        medians = {name: statistics.median(row[f"{name}_ms"] for row in own) for name in arguments.contestants}
        others = [value for name, value in medians.items() if name != "ours"]
        line = {"network": network, **{f"{name}_ms": value for name, value in medians.items()}}
        if "ours" in medians and others:
            line["times_the_fastest"] = min(others) / medians["ours"]
            claim = f"{network}: {line['times_the_fastest']:.2f} times the speed of the fastest of the others"
            verdicts.append((claim, line["times_the_fastest"] >= 1))
        counts = {fact["parameters"] for fact in facts[network].values()}
        verdicts.append((f"{network}: the same {max(counts):,} parameters everywhere", len(counts) == 1))
        summary.append(line)
    said = [f"{network}, {name}: {fact['said']}" for network in facts for name, fact in facts[network].items()]
    return Report(
        title="Time of a training step",
        settings={"batch": BATCH, "image": " x ".join(map(str, SHAPE)), "steps_a_turn": str(STEPS)},
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=verdicts,
        notes=["medians of the rounds; compilation and warming up not counted", *said],
        peers=("torch",),
    )


if __name__ == "__main__":
    sys.exit(main())
