"""PPO on the compiled engine, CartPole, beside stable-baselines3 and rejax: same machine, in turns (ours, theirs, ...).

--part sb3      env steps per second while training with rl-baselines3-zoo's hyperparameters (20 epochs of one batch of
                256), which are also our recipe's; then with settings made for throughput (rejax's own, below)
--part rejax    env steps per second with rejax's own hyperparameters (32 envs x 64 steps, 4 epochs of 4 batches), and
                the seconds from process start to process end; --jax PYTHON is an interpreter that has rejax 0.1.3 and a
                gymnax before 1.0
--part solved   seconds from process start to the first evaluation of a mean return of 475: ours with our recipe,
                stable-baselines3's PPO with the zoo's, and rejax with its own where --jax is given

Ours without import, trace and compile: from the second of ten intervals of metrics on. stable-baselines3's is the whole
of learn(). rejax's is the compiled call alone.

Needs the extra: pip install 'advdl[sb3]'
"""

import argparse
import json
import subprocess
import sys
import time
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
from peer_rejax_cartpole import SETTINGS as REJAX
from versus_sb3_dqn import SOLVED, heard, our_solving
from versus_sb3_host import settings_of, steady, their_speed

HERE = Path(__file__).parent
STEPS, FAST_STEPS = 100_000, 409_600

ZOO = settings_of("ppo") | {"engine": "compiled"}
FAST = ZOO | {  # REJAX in advdl's words
    "env.num": REJAX["num_envs"],
    "agent.horizon": REJAX["num_steps"],
    "agent.epochs": REJAX["num_epochs"],
    "agent.batch_size": REJAX["num_envs"] * REJAX["num_steps"] // REJAX["num_minibatches"],
    "agent.gamma": REJAX["gamma"],
    "agent.trace": REJAX["gae_lambda"],
    "agent.clip": REJAX["clip_eps"],
    "agent.value_clip": REJAX["clip_eps"],
    "agent.entropy": REJAX["ent_coef"],
    "agent.value_weight": REJAX["vf_coef"],
    "optimizer.learning_rate": REJAX["learning_rate"],
    "trainer.clip_norm": REJAX["max_grad_norm"],
}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--jax", help="an interpreter that has rejax")
    parser.add_argument("--threads", type=int, default=0, help="torch's threads; 0: as torch chooses")
    parser.add_argument("--cap", type=int, default=200_000, help="solved: the most env steps of stable-baselines3")
    parser.add_argument(
        "--cache", choices=["empty", "filled"], default="empty", help="solved: our compile cache at the start of a run"
    )
    parser.add_argument("--rejax-steps", type=int, default=1_024_000, help="solved: env steps of rejax")
    arguments = parser.parse_args()
    if arguments.part == "rejax" and not arguments.jax:
        parser.error("--part rejax needs --jax PYTHON")
    arguments.case, arguments.steps = "ppo", STEPS
    with workplace() as folder:
        return PARTS[arguments.part](arguments, folder).emit(as_json=arguments.json)


def beside_sb3(arguments: argparse.Namespace, folder: Path) -> Report:
    rows = []
    for seed in arguments.seeds:
        ours = our_speed(ZOO, STEPS, seed, folder / f"zoo-{seed}", folder / "cache")["training"]
        theirs = their_speed(arguments, seed)["training"]
        fast = our_speed(FAST, FAST_STEPS, seed, folder / f"fast-{seed}", folder / "cache")["training"]
        row = {"seed": seed, "ours_zoo": ours, "ours_fast": fast, "sb3_zoo": theirs}
        rows.append(row | {"ratio_zoo": ratio(ours, theirs), "ratio_fast": ratio(fast, theirs)})
        say(f"seed {seed}: {rows[-1]['ratio_zoo']:.1f}x, {rows[-1]['ratio_fast']:.1f}x")
    middles = {name: spread([row[name] for row in rows])["median"] or 0.0 for name in ("ratio_zoo", "ratio_fast")}
    return Report(
        title="PPO on the compiled engine and stable-baselines3, CartPole: env steps per second while training",
        settings={"seeds": arguments.seeds, "steps": STEPS, "interleaved": "ours, sb3, ours (fast) for each seed"},
        load=arguments.load,
        rows=rows,
        summary=spreads(rows, [column for column in rows[0] if column != "seed"]),
        verdicts=[
            (f"the zoo's settings: at least 12x (median {middles['ratio_zoo']:.1f}x)", middles["ratio_zoo"] >= 12),
            (
                f"settings for throughput: at least 60x (median {middles['ratio_fast']:.1f}x)",
                middles["ratio_fast"] >= 60,
            ),
        ],
        peers=("stable-baselines3", "torch"),
    )


def beside_rejax(arguments: argparse.Namespace, folder: Path) -> Report:
    rows = []
    for seed in arguments.seeds:
        ours = our_speed(FAST, FAST_STEPS, seed, folder / f"{seed}", folder / "cache")
        theirs = rejax(arguments, seed, FAST_STEPS, 1)
        speed = FAST_STEPS / theirs["trained"]["seconds"]
        row = {"seed": seed, "ours": ours["training"], "rejax": speed, "ratio": ratio(ours["training"], speed)}
        rows.append(row | {"ours_seconds": ours["seconds"], "rejax_seconds": theirs["seconds"]})
        say(f"seed {seed}: {row['ratio']:.2f}x")
    middle = spread([row["ratio"] for row in rows])["median"] or 0.0
    return Report(
        title="PPO on the compiled engine and rejax, CartPole: env steps per second while training",
        settings={"seeds": arguments.seeds, "steps": FAST_STEPS, "interleaved": "ours, rejax for each seed", **REJAX},
        load=arguments.load,
        rows=rows,
        summary=spreads(rows, [column for column in rows[0] if column != "seed"]),
        verdicts=[(f"at least 1.3x (median {middle:.2f}x)", middle >= 1.3)],
        notes=["seconds: process start to process end; our compile cache is empty before the first seed"],
    )


def solved(arguments: argparse.Namespace, folder: Path) -> Report:
    rows = []
    for seed in arguments.seeds:
        ours = our_solving(arguments, seed, folder / f"{seed}", "--agent", "ppo")
        theirs = sb3_solving(arguments, seed)
        row: Row = {"seed": seed, "ours_seconds": ours["seconds"], "ours_solved": ours["solved"]}
        row |= {"sb3_seconds": theirs["seconds"], "sb3_solved": theirs["solved"]}
        row["ratio_sb3"] = ratio(theirs["seconds"], ours["seconds"])
        if arguments.jax:
            row |= rejax_solving(arguments, seed)
            row["ratio_rejax"] = ratio(row["rejax_seconds"], ours["seconds"])
        rows.append(row)
        say(f"seed {seed}: " + ", ".join(f"{key} {row[key]:.1f}" for key in row if key.endswith("seconds")))
    asked = {"ratio_sb3": ("stable-baselines3", 1.0), "ratio_rejax": ("rejax", 2.0)}
    middles = {key: spread([row[key] for row in rows])["median"] or 0.0 for key in asked if key in rows[0]}
    return Report(
        title="CartPole with PPO, process start to the first evaluation of 475",
        settings={"seeds": arguments.seeds, "sb3_cap": arguments.cap, "rejax_steps": arguments.rejax_steps},
        load=arguments.load,
        rows=rows,
        summary=spreads(rows, [key for key in rows[0] if key.endswith("seconds") or key.startswith("ratio")]),
        verdicts=[
            (f"at least {asked[key][1]:g}x sooner than {asked[key][0]} (median {value:.2f}x)", value >= asked[key][1])
            for key, value in middles.items()
        ],
        notes=[
            "ours: `advdl agent train --agent ppo --env CartPole`, its own evaluations of 100 episodes, watched from "
            f"outside; our compile cache is {arguments.cache} at the start of each run",
            "sb3: the zoo's hyperparameters, evaluated every 5,000 env steps on 100 episodes side by side",
            "rejax: imports, compilation, and the share of the training up to the first of 50 evaluations (128 "
            "episodes) that reaches 475; all of it where none does, so that the true ratio is larger",
        ],
        peers=("stable-baselines3", "torch"),
    )


def our_speed(settings: Row, steps: int, seed: int, place: Path, cache: Path) -> Row:
    options = sets(settings | {"log.every": steps // 10})
    done = advdl(["agent", "train", "--steps", str(steps), "--seed", str(seed), "--quiet", *options], place, cache)
    run = only_run(place)
    if done.code or run is None:
        raise SystemExit(f"our run of seed {seed} failed")
    return {"training": steady(journal(run / "metrics.jsonl")), "seconds": done.seconds}


def sb3_solving(arguments: argparse.Namespace, seed: int) -> Row:
    command = [sys.executable, str(HERE / "peer_sb3_host.py"), "--case", "ppo", "--threads", str(arguments.threads)]
    command += ["--seed", str(seed), "--steps", str(arguments.cap), "--evaluate-every", "5000"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return heard(seed, began, process)


def rejax(arguments: argparse.Namespace, seed: int, steps: int, evaluations: int) -> Row:
    """Returns the peer's lines by event, and the seconds of its whole process."""
    command = [arguments.jax, str(HERE / "peer_rejax_cartpole.py"), str(seed), str(steps), str(evaluations)]
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    lines = map(json.loads, done.stdout.splitlines())
    return {**{line["event"]: line for line in lines}, "seconds": time.perf_counter() - began}


def rejax_solving(arguments: argparse.Namespace, seed: int) -> Row:
    lines = rejax(arguments, seed, arguments.rejax_steps, 50)
    returns, training = lines["trained"]["returns"], lines["trained"]["seconds"]
    first = next((place for place, mean in enumerate(returns) if mean >= SOLVED), None)
    share = 1.0 if first is None else (first + 1) / len(returns)
    before = lines["imported"]["seconds"] + lines["compiled"]["seconds"]
    return {"rejax_seconds": before + share * training, "rejax_solved": first is not None}


PARTS = {"sb3": beside_sb3, "rejax": beside_rejax, "solved": solved}

if __name__ == "__main__":
    sys.exit(main())
