"""One against two: env runners and replicas, beside RLlib's PPO with the same env, runners and hyperparameters.

--case cartpole   PPO on CartPole-v1, 16 envs in 1 and in 2 Ray runners
--case lander     PPO on LunarLander-v3, whose step costs ten times as much; needs box2d
--case replicas   PPO on CartPole-v1 with a large network and batch, updated on 1 and on 2 devices

Env steps per second while training, start-up and compile apart: ours from the second of eight intervals of metrics on,
theirs from the second iteration on. Efficiency is the speed with two over twice the speed with one. Runs take turns:
ours and theirs with one, ours and theirs with two, for each seed.

RLlib wants a Gymnasium of its own, so it lives in an environment of its own:

    python -m venv rllib && rllib/bin/pip install 'ray[rllib]==2.60.0' torch 'gymnasium[box2d]==1.2.2'
    python benchmarks/scaling.py --case cartpole --rllib rllib/bin/python
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from measure import (
    Report,
    Row,
    advdl,
    arguments_parser,
    journal,
    only_run,
    ratio,
    say,
    sets,
    spread,
    spreads,
    workplace,
)
from peer_rllib import CASES
from versus_sb3_host import QUIET, ppo, steady

HERE = Path(__file__).parent
CLAIM = 1.5
STEPS = {"cartpole": 163_840, "lander": 65_536, "replicas": 49_152}
INTERVALS = 8


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--case", choices=CASES, required=True)
    parser.add_argument("--rllib", metavar="PYTHON", default="", help="a Python that has RLlib; without it ours alone")
    parser.add_argument("--steps", type=int, default=0, help="env steps of each of our runs; 0: as the case has it")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each run of RLlib trains")
    given = parser.parse_args()
    given.steps = given.steps or STEPS[given.case]
    with workplace() as folder:
        return report([row(seed, folder, given) for seed in given.seeds], given).emit(as_json=given.json)


def row(seed: int, folder: Path, given: argparse.Namespace) -> Row:
    speeds: Row = {}
    for count in (1, 2):
        speeds[f"ours_{count}"] = our_speed(count, seed, folder / f"{seed}-{count}", folder / "cache", given)
        speeds[f"rllib_{count}"] = their_speed(count, seed, given) if given.rllib else None
    say(f"seed {seed}: {speeds}")
    return {
        "seed": seed,
        **speeds,
        **{f"ratio_{count}": ratio(speeds[f"ours_{count}"], speeds[f"rllib_{count}"]) for count in (1, 2)},
        **{f"{who}_efficiency": ratio(speeds[f"{who}_2"], 2 * (speeds[f"{who}_1"] or 0)) for who in ("ours", "rllib")},
    }


def our_speed(count: int, seed: int, here: Path, cache: Path, given: argparse.Namespace) -> float:
    case = CASES[given.case]
    own = case["arguments"]
    settings = {"env.id": case["env"], "env.num": case["envs"], **QUIET}
    settings |= ppo(
        case, units=str(case["units"]), activation="tanh", rate=own["learning_rate"], clip=own["clip_range"]
    )
    settings |= {"devices": count} if given.case == "replicas" else {"env.runners": f"ray:{count}"}
    settings |= {"log.every": given.steps // INTERVALS}
    command = ["agent", "train", "--steps", str(given.steps), "--seed", str(seed), "--quiet", *sets(settings)]
    done = advdl(command, here, cache)
    run = only_run(here)
    if done.code or run is None:
        raise SystemExit(f"our run with {count} failed")
    return steady(journal(run / "metrics.jsonl"))


def their_speed(count: int, seed: int, given: argparse.Namespace) -> float:
    # A lone learner works in the algorithm's process: that is the faster way to have one.
    shared = ["--learners", str(count if count > 1 else 0)] if given.case == "replicas" else ["--runners", str(count)]
    command = [given.rllib, str(HERE / "peer_rllib.py"), "--case", given.case, "--seed", str(seed), *shared]
    done = subprocess.run([*command, "--seconds", str(given.seconds)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"RLlib failed: {done.stderr[-2000:]}")
    learnt = json.loads(done.stdout.splitlines()[-1])
    return float(learnt["steps"] / learnt["seconds"])


def report(rows: list[Row], given: argparse.Namespace) -> Report:
    ratios = {count: spread([each[f"ratio_{count}"] for each in rows])["median"] for count in (1, 2)}
    what = "replicas" if given.case == "replicas" else "runners"
    case = CASES[given.case]
    return Report(
        title=f"One and two {what} beside RLlib, PPO on {case['env']}: env steps/s",
        settings={
            "envs": case["envs"],
            "units": "-".join(map(str, case["units"])),
            **case["arguments"],
            "steps": given.steps,
            "rllib_seconds": given.seconds,
        },
        load=given.load,
        rows=rows,
        summary=spreads(rows, [column for column in rows[0] if column != "seed"]),
        verdicts=[
            (f"with {count} at least {CLAIM:g}x RLlib's speed (median {middle or 0:.2f}x)", (middle or 0) >= CLAIM)
            for count, middle in ratios.items()
            if given.rllib
        ],
        notes=[
            "ours from the second of eight intervals of metrics on; RLlib's from its second iteration on",
            "efficiency: speed with two over twice the speed with one; the learner is one process more"
            if what == "runners"
            else "efficiency: speed with two over twice the speed with one, which uses both cores already",
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
