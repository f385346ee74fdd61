"""advdl's DQN beside stable-baselines3's on CartPole-v1: same machine, same seeds, in turns (ours, theirs, ours, ...).

--part throughput   both with rl-baselines3-zoo's hyperparameters: env steps per second while training (ours without
                    import, trace and compile, theirs timed around learn()), and from process start to process end
--part solved       each with its own recipe: seconds from process start to the first evaluation of a mean return
                    of 475 over 100 episodes, everything counted
--part start        where the first seconds of ours go, with an empty and with a filled compile cache

Needs the extra: pip install 'advdl[sb3]'
"""

import argparse
import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

from measure import (
    Report,
    Row,
    advdl,
    arguments_parser,
    child,
    finish,
    journal,
    launch,
    only_run,
    ratio,
    say,
    sets,
    spread,
    spreads,
    workplace,
)
from peer_sb3_dqn import ZOO, ZOO_EXPLORATION, ZOO_STEPS

HERE = Path(__file__).parent
SOLVED = 475.0
PEERS = ("stable-baselines3", "torch")

SAME = {  # ZOO, in advdl's words; stable-baselines3 copies the target network between two rounds of 128 updates
    "env.id": "CartPole-v1",
    "env.num": 1,
    "agent.name": "dqn",
    "agent.backbone": '{name="mlp", units=[256, 256], activation="relu"}',
    "agent.loss": "huber",
    "agent.double": "false",
    "agent.batch_size": ZOO["batch_size"],
    "agent.buffer_size": ZOO["buffer_size"],
    "agent.learning_starts": ZOO["learning_starts"],
    "agent.gamma": ZOO["gamma"],
    "agent.train_every": ZOO["train_freq"],
    "agent.updates": ZOO["gradient_steps"],
    "agent.target_every": ZOO["gradient_steps"],
    "agent.epsilon": f'{{name="linear", start=1.0, end={ZOO["exploration_final_eps"]}, over={ZOO_EXPLORATION}}}',
    "optimizer.name": "adam",
    "optimizer.learning_rate": ZOO["learning_rate"],
    "trainer.clip_norm": 10.0,
    "evaluation.every": 0,
    "evaluation.episodes": 1,
    "evaluation.stop_at": "never",
    "trackers.tensorboard": "false",
}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--steps", type=int, default=ZOO_STEPS, help="throughput: env steps of each run")
    parser.add_argument("--cap", type=int, default=100_000, help="solved: the most env steps of the peer")
    parser.add_argument("--cache", choices=("empty", "filled"), default="empty", help="our compile cache")
    parser.add_argument("--threads", type=int, default=0, help="torch's threads; 0: as torch chooses")
    arguments = parser.parse_args()
    with workplace() as folder:
        return PARTS[arguments.part](arguments, folder).emit(as_json=arguments.json)


def throughput(arguments: argparse.Namespace, folder: Path) -> Report:
    rows = []
    for seed in arguments.seeds:
        ours = our_speed(arguments, seed, folder / f"{seed}")
        theirs = their_speed(arguments, seed)
        row = {
            "seed": seed,
            "ours_training": ours["training"],
            "sb3_training": theirs["training"],
            "ratio_training": ratio(ours["training"], theirs["training"]),
            "ours_everything": ours["everything"],
            "sb3_everything": theirs["everything"],
            "ratio_everything": ratio(ours["everything"], theirs["everything"]),
        }
        rows.append(row)
        say(f"seed {seed}: {row['ratio_training']:.2f}x training, {row['ratio_everything']:.2f}x with everything")
    middle = spread([row["ratio_training"] for row in rows])["median"]
    return Report(
        title="DQN with the same hyperparameters as stable-baselines3: env steps per second",
        settings=common(arguments) | {"steps": arguments.steps, "compile_cache": arguments.cache},
        load=arguments.load,
        rows=rows,
        summary=spreads(rows, [column for column in rows[0] if column != "seed"]),
        verdicts=[(f"training at least 5x as fast (median {middle:.2f}x)", middle >= 5)],
        notes=[
            "training: ours from the second of ten intervals of metrics on, which leaves import, trace and compile "
            "out (and the cheap first 1,000 steps without updates); theirs is the whole of learn()",
            "everything: env steps by the seconds from process start to process end",
            f"hyperparameters: {json.dumps(ZOO | {'exploration_fraction': ZOO_EXPLORATION})}",
        ],
        peers=PEERS,
    )


def our_speed(arguments: argparse.Namespace, seed: int, folder: Path) -> Row:
    settings = sets(SAME | {"log.every": max(arguments.steps // 10, 1)})
    budget = ["--steps", str(arguments.steps), "--seed", str(seed), "--quiet"]
    command = ["agent", "train", *budget, *settings]
    if arguments.cache == "filled":
        advdl(command, folder / "before", folder / "cache")
    done = advdl(command, folder / "run", folder / "cache")
    run = only_run(folder / "run")
    if done.code or run is None:
        raise SystemExit(f"our run of seed {seed} failed")
    return {"training": steady(journal(run / "metrics.jsonl")), "everything": done.data["step"] / done.seconds}


def steady(lines: list[Row]) -> float:
    """Returns env steps per second of training from the second line of metrics on."""
    steps = [after["step"] - before["step"] for before, after in pairwise(lines)]
    seconds = [made / line["time/env_steps_per_second"] for made, line in zip(steps, lines[1:], strict=True)]
    return float(sum(steps) / sum(seconds))


def their_speed(arguments: argparse.Namespace, seed: int) -> Row:
    began = time.perf_counter()
    process = peer(arguments, "--seed", str(seed), "--steps", str(arguments.steps))
    lines, _ = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"the peer's run of seed {seed} failed")
    learnt = json.loads(lines.splitlines()[-1])
    return {"training": learnt["steps"] / learnt["seconds"], "everything": learnt["steps"] / seconds}


def solved(arguments: argparse.Namespace, folder: Path) -> Report:
    rows = []
    for seed in arguments.seeds:
        ours = our_solving(arguments, seed, folder / f"{seed}")
        theirs = their_solving(arguments, seed)
        row = {
            "seed": seed,
            "ours_solved": ours["solved"],
            "ours_seconds": ours["seconds"],
            "ours_step": ours["step"],
            "ours_final_return": ours["final"],
            "sb3_solved": theirs["solved"],
            "sb3_seconds": theirs["seconds"],
            "sb3_step": theirs["step"],
            "ratio": ratio(theirs["seconds"], ours["seconds"]) if ours["solved"] else None,
        }
        rows.append(row)
        say(f"seed {seed}: ours {ours['seconds']:.1f} s, theirs {theirs['seconds']:.1f} s")
    ratios = spread([row["ratio"] for row in rows])
    everyone = all(row["ours_solved"] for row in rows)
    return Report(
        title="CartPole, process start to the first evaluation of 475 over 100 episodes",
        settings=common(arguments) | {"sb3_cap": arguments.cap, "compile_cache": arguments.cache},
        load=arguments.load,
        rows=rows,
        summary=spreads(rows, ("ours_seconds", "sb3_seconds", "ratio")),
        verdicts=[
            ("ours solves it with every seed", everyone),
            (f"at least 4x sooner (median {ratios['median'] or 0:.2f}x)", (ratios["median"] or 0) >= 4),
        ],
        notes=[
            "ours: `advdl agent train --env CartPole`, default recipe, its own evaluations, watched from outside",
            "sb3: the zoo's hyperparameters, evaluated every 5,000 env steps by a greedy policy on 100 episodes side "
            "by side (Gymnasium's vectorised CartPole), so that its evaluation is not needlessly slow; nothing is "
            "subtracted on either side",
            "where a side is not solved its seconds are those until it gave up: the true ratio is larger (sb3) or the "
            "pair has none (ours)",
        ],
        peers=PEERS,
    )


def our_solving(arguments: argparse.Namespace, seed: int, folder: Path, *options: str) -> Row:
    command = ["agent", "train", "--env", "CartPole", *options, "--seed", str(seed), "--quiet", "--json"]
    if arguments.cache == "filled":
        advdl(command[:-1], folder / "before", folder / "cache")
    began = time.perf_counter()
    process = launch(command, folder / "run", folder / "cache")
    found = watch(process, folder / "run", began)
    done = finish(process, began)
    if done.code:
        raise SystemExit(f"our run of seed {seed} failed with {done.code}")
    final = done.data["evaluation"]["return/mean"]
    found = found or reached(folder / "run", done.seconds)  # solved in the moment before the process ended
    given_up = {"solved": False, "seconds": done.seconds, "step": done.data["step"]}
    return {**(found or given_up), "final": final}


def watch(process: subprocess.Popen[str], folder: Path, began: float) -> Row | None:
    """Looks every 20 ms whether an evaluation has reached the target."""
    while process.poll() is None:
        found = reached(folder, time.perf_counter() - began)
        if found:
            return found
        time.sleep(0.02)
    return None


def reached(folder: Path, seconds: float) -> Row | None:
    run = only_run(folder)
    lines = journal(run / "evaluations.jsonl") if run else []
    steps = [line["step"] for line in lines if line["kind"] == "during" and line["return/mean"] >= SOLVED]
    return {"solved": True, "seconds": seconds, "step": steps[0]} if steps else None


def their_solving(arguments: argparse.Namespace, seed: int) -> Row:
    cap = ("--steps", str(arguments.cap), "--evaluate-every", "5000")
    return heard(seed, time.perf_counter(), peer(arguments, "--seed", str(seed), *cap))


def heard(seed: int, began: float, process: "subprocess.Popen[str]") -> Row:
    """Listens to a peer's evaluations until one reaches the target."""
    assert process.stdout is not None
    step = 0
    with process:
        for text in process.stdout:
            seconds, line = time.perf_counter() - began, json.loads(text)
            step = line.get("step", step)
            if line["event"] == "evaluated" and line["mean"] >= SOLVED:
                return {"solved": True, "seconds": seconds, "step": step}
    if process.returncode:
        raise SystemExit(f"the peer's run of seed {seed} failed")
    return {"solved": False, "seconds": time.perf_counter() - began, "step": step}


def start(arguments: argparse.Namespace, folder: Path) -> Report:
    laps = []
    for seed in arguments.seeds:
        for state in ("empty", "filled"):
            laps.append((state, phases(seed, folder / f"{seed}")))
            say(f"seed {seed}, {state} cache: {sum(laps[-1][1].values()):.1f} s")
    rows: list[Row] = [{"phase": phase} for phase in laps[0][1]]
    for row in rows:
        for state in ("empty", "filled"):
            seconds = spread([lap[row["phase"]] for name, lap in laps if name == state])
            row |= {f"{state}_{key}": seconds[key] for key in ("median", "min", "max")}
    total = {key: sum(row[key] for row in rows) if key.endswith("median") else None for key in rows[0]}
    return Report(
        title="The first seconds of `advdl agent train --env CartPole`, by phase, in seconds",
        settings={"seeds": arguments.seeds},
        load=arguments.load,
        rows=[*rows, total | {"phase": "sum of medians"}],
        notes=["empty, filled: the compile cache of the machine, before the process starts"],
    )


def phases(seed: int, folder: Path) -> Row:
    command = [str(HERE / "start_phases.py"), "--seed", str(seed)]
    return child([*command, "--began", repr(time.perf_counter())], folder, folder / "cache")


def peer(arguments: argparse.Namespace, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / "peer_sb3_dqn.py"), "--threads", str(arguments.threads), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def common(arguments: argparse.Namespace) -> Row:
    threads = arguments.threads or "torch's own choice"
    return {"seeds": arguments.seeds, "interleaved": "ours, sb3 for each seed", "torch_threads": threads}


PARTS = {"throughput": throughput, "solved": solved, "start": start}

if __name__ == "__main__":
    sys.exit(main())
