"""Does PPO learn Pong from pixels in 20 minutes, and are its frames per second at least stable-baselines3's?

Runs `advdl agent train --env ALE/Pong-v5 --agent ppo` with its recipe (rl-baselines3-zoo's settings, DeepMind's
preprocessing) for so many minutes with each backbone, and then stable-baselines3's PPO with the same settings for some
steps. A frame is one of the game's 60 a second; a step is four.

Twenty minutes are a twentieth of the zoo's run, so steps are greater: a constant rate of 5e-4 for one that falls from
2.5e-4, and a clip range of 0.2 for 0.1; neither changes the speed. `nature_cnn` sees 84 x 84 pixels. So would `impala`,
but of 100 steps a second on two cores it makes too few: it sees 42 x 42, as A3C's did in OpenAI's universe.

The return is the mean of training's episodes in an interval of metrics; random play has about -20.4. Claims: it rises
above -19, and `nature_cnn` makes as many frames a second as stable-baselines3's same network or more. In turns and with
more repetitions, `versus_sb3_host.py --case atari` compares the speed.

Needs the extras: pip install 'advdl[atari,sb3]'
"""

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

from measure import Report, Row, arguments_parser, journal, launch, only_run, ratio, say, sets, shown, workplace
from minatar_ppo import pace

FRAMES = 4
ASKED = -19.0
QUICK = {"agent.clip": 0.2, "optimizer.learning_rate": 5e-4}
SCREENS = {"nature_cnn": 84, "impala": 42}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each run (20)")
    parser.add_argument("--peer-steps", type=int, default=51_200, help="of stable-baselines3's; 0 for none (51200)")
    parser.add_argument("--backbones", nargs="+", choices=SCREENS, default=list(SCREENS), help="both when left out")
    arguments = parser.parse_args()
    with workplace() as folder:
        rows = [
            row
            for seed in arguments.seeds
            for row in [
                *(ours(backbone, seed, arguments.minutes, folder) for backbone in arguments.backbones),
                *([theirs(seed, arguments.peer_steps)] if arguments.peer_steps else []),
            ]
        ]
    return report(rows, arguments).emit(as_json=arguments.json)


def ours(backbone: str, seed: int, minutes: float, folder: Path) -> Row:
    place = folder / f"{backbone}-{seed}"
    settings = {
        "agent.backbone": f'{{name="{backbone}", channels_first=true}}',
        "env.wrappers": wrappers(SCREENS[backbone]),
        "evaluation.every": 0,
        "log.every": 8_192,
        **QUICK,
    }
    command = ["agent", "train", "--env", "ALE/Pong-v5", "--agent", "ppo", "--seed", str(seed), "--quiet"]
    process = launch([*command, *sets(settings)], place, folder / "cache")
    try:
        process.wait(60 * minutes)
        raise SystemExit(f"advdl exited with {process.returncode}: {(place / 'stderr.txt').read_text()[-500:]}")
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # the run is saved, and stops
        process.communicate()
    run = only_run(place)
    lines = [] if run is None else journal(run / "metrics.jsonl")
    returns = [(line["step"], line["rollout/return"]) for line in lines if "rollout/return" in line]
    speed = pace(lines)
    return row_of(f"ours, {backbone}", seed, lines[-1]["step"] if lines else 0, speed, returns)


def wrappers(screen: int) -> str:
    """Returns the recipe's wrappers with another size of images, for the command line."""
    return (
        f'[{{name="AtariPreprocessing",noop_max=30,screen_size={screen}}},'
        '{name="FrameStackObservation",stack_size=4},{name="ClipReward",min_reward=-1.0,max_reward=1.0}]'
    )


def theirs(seed: int, steps: int) -> Row:
    script = Path(__file__).with_name("peer_sb3_host.py")
    command = [sys.executable, str(script), "--case", "atari", "--seed", str(seed), "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script.name} failed: {done.stderr[-1000:]}")
    data = json.loads(done.stdout)
    return row_of("stable-baselines3, nature_cnn", seed, data["steps"], data["steps"] / data["seconds"], [])


def row_of(who: str, seed: int, steps: int, speed: float | None, returns: list[tuple[int, float]]) -> Row:
    best = max(returns, key=lambda pair: pair[1], default=(None, None))
    row = {
        "who": who,
        "seed": seed,
        "steps": steps,
        "frames_per_second": None if speed is None else FRAMES * speed,
        "first_return": returns[0][1] if returns else None,
        "last_return": returns[-1][1] if returns else None,
        "best_return": best[1],
        "curve": returns,
    }
    say(f"{who}, seed {seed}: {steps:,} steps, return {shown(row['last_return'])}")
    return row


def report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    verdicts = [
        (f"{row['who']}, seed {row['seed']}: rises above {ASKED:g}", (row["best_return"] or -21.0) > ASKED)
        for row in rows
        if row["who"].startswith("ours")
    ]
    speeds = {row["who"]: row["frames_per_second"] for row in rows}
    peer, nature = speeds.get("stable-baselines3, nature_cnn"), speeds.get("ours, nature_cnn")
    if peer and nature:
        times = ratio(nature, peer) or 0.0
        verdicts.append((f"nature_cnn: {times:.2f} times stable-baselines3's frames per second", times >= 1))
    return Report(
        title="Atari Pong, PPO",
        settings={"minutes": arguments.minutes, "peer_steps": arguments.peer_steps},
        load=arguments.load,
        rows=rows,
        verdicts=verdicts,
        notes=["frames per second: ours the median of metrics' intervals, theirs all of learn()"],
        peers=("stable-baselines3", "torch", "ale-py"),
    )


if __name__ == "__main__":
    sys.exit(main())
