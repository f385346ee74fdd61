"""sb3-* through advdl beside stable-baselines3 called directly: the same settings, seeds and machine, in turns.

Both have the same work to do: what they have learnt must be equal, parameter by parameter, bit by bit. Ours also writes
metrics, TensorBoard curves and checkpoints, and its time has them in it.

Needs the extra: pip install 'advdl[sb3]'
"""

import statistics
from pathlib import Path

from measure import Report, Row, arguments_parser, child, ratio, say, spread, workplace
from sb3_one_run import CASES

SCRIPT = str(Path(__file__).with_name("sb3_one_run.py"))


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--cases", default=",".join(CASES), help="such as ppo,dqn")
    parser.add_argument("--share", type=float, default=1.0, help="of each case's env steps")
    parser.add_argument("--threads", type=int, default=0, help="torch's threads; 0: as torch chooses")
    arguments = parser.parse_args()
    options = ["--share", str(arguments.share), "--threads", str(arguments.threads)]
    with workplace() as folder:
        rows = [case(name, arguments.seeds, options, folder) for name in arguments.cases.split(",")]
    worst = min(row["ratio"] for row in rows)
    return Report(
        title="stable-baselines3's agents through advdl, and called directly: env steps per second",
        settings={
            "seeds": len(arguments.seeds),
            "share": arguments.share,
            "threads": arguments.threads or "torch's own",
        },
        load=arguments.load,
        rows=rows,
        verdicts=[
            ("what is learnt is equal, bit by bit, for every seed", all(row["equal"] for row in rows)),
            (f"ours has at least 0.95 of the speed in every case (least {worst:.3f})", worst >= 0.95),
        ],
        notes=["ratio: the median over the seeds of ours by theirs, each pair run one right after the other"],
        peers=("stable-baselines3", "torch"),
    ).emit(as_json=arguments.json)


def case(name: str, seeds: list[int], options: list[str], folder: Path) -> Row:
    """Runs a case with every seed, ours and theirs in turns; who goes first changes with each seed."""
    pairs = []
    for number, seed in enumerate(seeds):
        order = ("ours", "direct") if number % 2 == 0 else ("direct", "ours")
        pair = {how: run(how, name, seed, options, folder / f"{name}-{seed}-{how}") for how in order}
        pairs.append(pair)
        say(f"{name}, seed {seed}: {ratio(speed(pair['ours']), speed(pair['direct'])):.3f}")
    ratios = [ratio(speed(pair["ours"]), speed(pair["direct"])) for pair in pairs]
    cpu = [ratio(pair["direct"]["cpu"], pair["ours"]["cpu"]) for pair in pairs]
    return {
        "case": name,
        "env": CASES[name]["env"],
        "steps": pairs[0]["ours"]["steps"],
        "ours": statistics.median(speed(pair["ours"]) for pair in pairs),
        "direct": statistics.median(speed(pair["direct"]) for pair in pairs),
        "ratio": spread(ratios)["median"],
        "least": min(ratios),
        "greatest": max(ratios),
        "ratio_of_cpu": spread(cpu)["median"],
        "equal": all(pair["ours"]["hash"] == pair["direct"]["hash"] for pair in pairs),
    }


def run(how: str, name: str, seed: int, options: list[str], folder: Path) -> Row:
    return child([SCRIPT, how, name, "--seed", str(seed), *options], folder, folder / "cache")


def speed(row: Row) -> float:
    return row["steps"] / row["seconds"]


if __name__ == "__main__":
    raise SystemExit(main())
