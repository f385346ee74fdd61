"""Does a large replay cost speed or more memory than its transitions take?

Trains DQN on CartPole in the compiled engine with replays of several capacities, each in a process of its own, in
turns. The ring is declared full before timing, so that batches are drawn from all of it. A process measures
its steady speed over several windows and the peak of its resident memory.
"""

import argparse
import json
import math
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Report, Row, arguments_parser, child, say, spread, workplace

if TYPE_CHECKING:
    from advdl.rl.compiled import CompiledEngine


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--capacities", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--steps", type=int, default=50_000, help="env steps of a window")
    parser.add_argument("--windows", type=int, default=5, help="windows of a process")
    parser.add_argument("--child", type=int, metavar="CAPACITY", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.child, arguments.seeds[0], arguments.steps, arguments.windows)))
        return 0
    with workplace() as folder:
        rows = [one(arguments, size, seed, folder) for seed in arguments.seeds for size in arguments.capacities]
    return report(arguments, rows).emit(as_json=arguments.json)


def one(arguments: argparse.Namespace, capacity: int, seed: int, folder: Path) -> Row:
    size = ["--steps", str(arguments.steps), "--windows", str(arguments.windows)]
    command = [__file__, "--child", str(capacity), "--seeds", str(seed), *size]
    row: Row = {"seed": seed, "capacity": capacity, **child(command, folder, folder / f"cache-{seed}-{capacity}")}
    say(f"seed {seed}, {capacity:,}: {row['steps_per_second']:,.0f} steps/s, peak {row['peak_mb']:,.0f} MB")
    return row


def measure(capacity: int, seed: int, steps: int, windows: int) -> Row:
    from advdl.experiment.build import build_training
    from advdl.experiment.config import resolve_experiment
    from advdl.plugin.host import PluginHost
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    host = PluginHost.from_environment()
    experiment = resolve_experiment(
        host,
        command_line={"env": "CartPole-v1", "seed": seed, "steps": steps * (windows + 1)},
        sets=["agent.name=dqn", f"agent.buffer_size={capacity}"],
        config_file=None,
        environ={},
        folder=Path.cwd(),
    )
    engine = build_training(experiment, host).engine
    engine.build()
    ring = engine.source.state()
    ring["added"].assign(capacity)
    times = [window(engine, steps * count) for count in range(1, windows + 2)]
    speeds = [steps / seconds for seconds in times[1:]]  # the first compiles and finds the length of a call
    fields = [value for name, value in ring.items() if name != "added"]
    transitions = sum(math.prod(value.shape) * value.dtype.size for value in fields)
    return {
        "steps_per_second": spread(speeds)["median"],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "resident_mb": resident(),
        "replay_mb": transitions / 1e6,
        "bytes_per_transition": transitions // capacity,
        "windows": speeds,
    }


def resident() -> float:
    """Returns what the process holds now, in MB; the compiler's passing needs are in the peak only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def window(engine: "CompiledEngine", until: int) -> float:
    began = time.perf_counter()
    while engine.env_steps < until:
        engine.advance(until)
    return time.perf_counter() - began


def report(arguments: argparse.Namespace, rows: list[Row]) -> Report:
    summary = [summarised(capacity, rows) for capacity in arguments.capacities]
    base = summary[0]
    for line in summary:
        line["speed_ratio"] = line["median"] / base["median"]
        line["peak_growth_mb"] = line["peak_mb"] - base["peak_mb"]
        line["resident_growth_mb"] = line["resident_mb"] - base["resident_mb"]
        line["replay_growth_mb"] = line["replay_mb"] - base["replay_mb"]
    speeds = [line["median"] for line in summary]
    apart = max(speeds) / min(speeds) - 1
    largest = max(summary, key=lambda line: line["capacity"])
    growth, bytes_growth = largest["peak_growth_mb"], largest["replay_growth_mb"]
    return Report(
        title="DQN on CartPole with replays of several capacities",
        settings={
            "seeds": arguments.seeds,
            "interleaved": "every capacity for each seed",
            "window_steps": arguments.steps,
            "windows": arguments.windows,
            "compile_cache": "empty for every process",
        },
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=[
            (f"median speeds are within 10% of each other ({apart:.1%} apart)", apart <= 0.10),
            (
                f"from {base['capacity']:,} to {largest['capacity']:,} transitions the peak grows by their bytes, "
                f"within 5% ({growth:.1f} MB for {bytes_growth:.1f} MB)",
                abs(growth - bytes_growth) <= 0.05 * bytes_growth,
            ),
        ],
        notes=[
            "steps_per_second: the median of a process' windows; peak: ru_maxrss, building and compiling included; "
            "resident: at the end"
        ],
    )


def summarised(capacity: int, rows: list[Row]) -> Row:
    mine = [row for row in rows if row["capacity"] == capacity]
    return {
        "capacity": capacity,
        **spread([row["steps_per_second"] for row in mine]),
        "replay_mb": mine[0]["replay_mb"],
        "peak_mb": spread([row["peak_mb"] for row in mine])["median"],
        "resident_mb": spread([row["resident_mb"] for row in mine])["median"],
    }


if __name__ == "__main__":
    sys.exit(main())
