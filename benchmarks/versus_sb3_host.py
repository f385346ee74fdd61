"""The host engine beside stable-baselines3: same hyperparameters, same Gymnasium envs, in turns (ours, theirs, ...).

--case ppo      PPO on CartPole-v1, 8 envs, rl-baselines3-zoo's settings
--case dqn      DQN on CartPole-v1, rl-baselines3-zoo's settings
--case mujoco   PPO on HalfCheetah-v5, the zoo's network and settings without its normalisation
--case atari    PPO on Pong, DeepMind's preprocessing, rl-baselines3-zoo's settings, which are our recipe's; ours
                steps ALE's own vector env (env.vector=gymnasium), stable-baselines3 its vector env of eight copies

Env steps per second while training: ours without import, trace and compile (from the second of ten intervals of
metrics on), theirs timed around learn(). Beside it, everything from process start to process end.

Needs the extras: pip install 'advdl[sb3,mujoco,atari]'
"""

import argparse
import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

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
from peer_sb3_host import CASES

HERE = Path(__file__).parent
CLAIMS = {"ppo": 6.0, "dqn": 4.0, "mujoco": 1.5, "atari": 1.5}
QUIET = {
    "engine": "host",
    "evaluation.every": 0,
    "evaluation.episodes": 1,
    "evaluation.stop_at": "never",
    "trackers.tensorboard": "false",
    "optimizer.name": "adam",
}


def falling(start: float) -> str:
    return f'{{name="linear", start={start}, end=0.0, over=1.0}}'


def ppo(case: Row, *, units: str, activation: str, rate: Any, clip: Any) -> Row:
    given = case["arguments"]
    return {
        "agent.name": "ppo",
        "agent.backbone": f'{{name="mlp", units={units}, activation="{activation}"}}',
        "agent.shared": "false",
        "agent.horizon": given["n_steps"],
        "agent.epochs": given["n_epochs"],
        "agent.batch_size": given["batch_size"],
        "agent.gamma": given["gamma"],
        "agent.trace": given["gae_lambda"],
        "agent.entropy": given["ent_coef"],
        "agent.clip": clip,
        "agent.value_weight": given.get("vf_coef", 0.5),
        "optimizer.learning_rate": rate,
        "optimizer.epsilon": 1e-5,
        "trainer.clip_norm": given.get("max_grad_norm", 0.5),
    }


def settings_of(name: str) -> Row:
    """The peer's settings in advdl's words."""
    case = CASES[name]
    given = case["arguments"]
    env = {"env.id": case["env"], "env.num": case["envs"], **QUIET}
    if name == "ppo":
        start = case["falling"]
        rate, clip = falling(start["learning_rate"]), falling(start["clip_range"])
        return env | ppo(case, units="[64, 64]", activation="tanh", rate=rate, clip=clip)
    if name == "mujoco":
        own = {"agent.log_std": -2.0, "agent.orthogonal": "false"}
        rate, clip = given["learning_rate"], given["clip_range"]
        return env | own | ppo(case, units="[256, 256]", activation="tanh", rate=rate, clip=clip)
    if name == "atari":
        return env | {"agent.name": "ppo", "env.vector": "gymnasium"}  # ALE's own vector env
    share = given["exploration_fraction"]
    return env | {
        "agent.name": "dqn",
        "agent.backbone": '{name="mlp", units=[256, 256], activation="relu"}',
        "agent.loss": "huber",
        "agent.double": "false",
        "agent.batch_size": given["batch_size"],
        "agent.buffer_size": given["buffer_size"],
        "agent.learning_starts": given["learning_starts"],
        "agent.gamma": given["gamma"],
        "agent.train_every": given["train_freq"],
        "agent.updates": given["gradient_steps"],
        "agent.target_every": given["gradient_steps"],
        "agent.epsilon": f'{{name="linear", start=1.0, end={given["exploration_final_eps"]}, over={share}}}',
        "optimizer.learning_rate": given["learning_rate"],
        "trainer.clip_norm": 10.0,
    }


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--case", choices=CASES, required=True)
    parser.add_argument("--steps", type=int, default=0, help="env steps of each run; 0: as the case has it")
    parser.add_argument("--threads", type=int, default=0, help="torch's threads; 0: as torch chooses")
    arguments = parser.parse_args()
    arguments.steps = arguments.steps or CASES[arguments.case]["steps"]
    with workplace() as folder:
        return compare(arguments, folder).emit(as_json=arguments.json)


def compare(arguments: argparse.Namespace, folder: Path) -> Report:
    rows = [pair(arguments, seed, folder) for seed in arguments.seeds]
    middle, claim = spread([row["ratio_training"] for row in rows])["median"], CLAIMS[arguments.case]
    return Report(
        title=f"Host engine and stable-baselines3, {arguments.case} on {CASES[arguments.case]['env']}: env steps/s",
        settings={
            "seeds": arguments.seeds,
            "steps": arguments.steps,
            "interleaved": "ours, sb3 for each seed",
            "torch_threads": arguments.threads or "torch's own choice",
        },
        load=arguments.load,
        rows=rows,
        summary=spreads(rows, [column for column in rows[0] if column != "seed"]),
        verdicts=[(f"training at least {claim:g}x as fast (median {middle or 0:.2f}x)", (middle or 0) >= claim)],
        notes=[
            "training: ours from the second of ten intervals of metrics on; theirs is the whole of learn()",
            "everything: env steps by the seconds from process start to its end; our compile cache is empty at first",
            f"hyperparameters: {json.dumps(CASES[arguments.case]['arguments'])}",
        ],
        peers=("stable-baselines3", "torch"),
    )


def pair(arguments: argparse.Namespace, seed: int, folder: Path) -> Row:
    ours, theirs = our_speed(arguments, seed, folder), their_speed(arguments, seed)
    row = {
        "seed": seed,
        "ours_training": ours["training"],
        "sb3_training": theirs["training"],
        "ratio_training": ratio(ours["training"], theirs["training"]),
        "ours_everything": ours["everything"],
        "sb3_everything": theirs["everything"],
        "ratio_everything": ratio(ours["everything"], theirs["everything"]),
    }
    say(f"seed {seed}: {row['ratio_training']:.2f}x training, {row['ratio_everything']:.2f}x with everything")
    return row


def our_speed(arguments: argparse.Namespace, seed: int, folder: Path) -> Row:
    settings = sets(settings_of(arguments.case) | {"log.every": max(arguments.steps // 10, 1)})
    command = ["agent", "train", "--steps", str(arguments.steps), "--seed", str(seed), "--quiet", *settings]
    done = advdl(command, folder / f"{seed}", folder / "cache")
    run = only_run(folder / f"{seed}")
    if done.code or run is None:
        raise SystemExit(f"our run of seed {seed} failed")
    return {"training": steady(journal(run / "metrics.jsonl")), "everything": done.data["step"] / done.seconds}


def steady(lines: list[Row]) -> float:
    """Returns env steps per second of training from the second line of metrics on."""
    steps = [after["step"] - before["step"] for before, after in pairwise(lines)]
    speeds = [next(value for key, value in line.items() if key.endswith("steps_per_second")) for line in lines[1:]]
    return float(sum(steps) / sum(made / speed for made, speed in zip(steps, speeds, strict=True)))


def their_speed(arguments: argparse.Namespace, seed: int) -> Row:
    command = [sys.executable, str(HERE / "peer_sb3_host.py"), "--case", arguments.case, "--seed", str(seed)]
    command += ["--steps", str(arguments.steps), "--threads", str(arguments.threads)]
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    seconds, learnt = time.perf_counter() - began, json.loads(done.stdout.splitlines()[-1])
    return {"training": learnt["steps"] / learnt["seconds"], "everything": learnt["steps"] / seconds}


if __name__ == "__main__":
    sys.exit(main())
