"""Does PPO with its recipes reach gymnax's published returns in MinAtar, and how fast?

Runs `advdl agent train --env MinAtar-GAME --agent ppo --seed N` for each game and seed, one after the other, with the
recipes of the installation: 10 million env steps. The return is the final evaluation's, 100 episodes that training
never saw, on the env as Gymnasium has it. gymnax's values are the means of its checkpoints, 10 million steps, with the
same minimal actions and the same limit of 1,000 steps an episode.

--peer PYTHON, the interpreter of an environment with rejax and jax, compares the speed: advdl trains rejax's networks,
two of two layers of 256, in the place of the recipes' convolution, and each seed is followed by peer_rejax_ppo.py on
the same cores, with the same algorithm, networks and steps on JAX's CPU backend.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from measure import Report, Row, advdl, arguments_parser, journal, only_run, ratio, say, sets, shown, workplace

PUBLISHED = {"Breakout": 28.0, "Freeway": 58.0, "SpaceInvaders": 131.0, "Asterix": 15.0, "Seaquest": None}
LIKE_REJAX = {"agent.backbone": '{name="mlp", units=[256, 256], activation="relu"}', "agent.shared": "false"}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--games", nargs="+", choices=PUBLISHED, default=list(PUBLISHED), help="all when left out")
    parser.add_argument("--steps", type=int, default=10_000_000, help="env steps of a run (10000000)")
    parser.add_argument("--peer", metavar="PYTHON", help="the interpreter of an environment with rejax and jax")
    arguments = parser.parse_args()
    with workplace() as folder:
        rows = [one(game, seed, arguments, folder) for game in arguments.games for seed in arguments.seeds]
    return report(rows, arguments).emit(as_json=arguments.json)


def one(game: str, seed: int, arguments: argparse.Namespace, folder: Path) -> Row:
    command = ["agent", "train", "--env", f"MinAtar-{game}", "--agent", "ppo", "--seed", str(seed), "--quiet"]
    command += ["--steps", str(arguments.steps), *sets(LIKE_REJAX if arguments.peer else {})]
    place = folder / f"{game}-{seed}"
    done = advdl(command, place, folder / "cache")
    run, figures = only_run(place), done.data.get("evaluation", {})
    row = {
        "game": game,
        "seed": seed,
        "return_mean": figures.get("return/mean"),
        "return_iqm": figures.get("return/iqm"),
        "return_std": figures.get("return/std"),
        "length_mean": figures.get("length/mean"),
        "kept_step": done.data.get("kept_step"),
        "steps_per_second": None if run is None else pace(journal(run / "metrics.jsonl")),
        "seconds": done.seconds,
        "exit_code": done.code,
        **peer(game, seed, arguments),
    }
    say(f"{game}, seed {seed}: {shown(row['return_mean'])} in {done.seconds:.0f} s")
    return row


def pace(lines: list[Row]) -> float | None:
    """Returns the median of the intervals' env steps per second; the first one holds the compilation."""
    known = [line["time/env_steps_per_second"] for line in lines[1:] if "time/env_steps_per_second" in line]
    return statistics.median(known) if known else None


def peer(game: str, seed: int, arguments: argparse.Namespace) -> Row:
    if not arguments.peer:
        return {}
    script = Path(__file__).with_name("peer_rejax_ppo.py")
    command = [arguments.peer, str(script), game, str(seed), str(arguments.steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr[-1000:]}")
    theirs = json.loads(done.stdout)
    return {"peer_return": theirs["return_mean"], "peer_steps_per_second": theirs["steps_per_second"]}


def report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    summary, verdicts = [], []
    for game in arguments.games:
        own = [row for row in rows if row["game"] == game]
        mean = statistics.fmean(row["return_mean"] or 0.0 for row in own)
        speed = statistics.median(row["steps_per_second"] or 0.0 for row in own)
        line = {"game": game, "return_mean": mean, "published": PUBLISHED[game], "steps_per_second": speed}
        if PUBLISHED[game] is not None and not arguments.peer:
            verdicts.append((f"{game}: {mean:.1f} >= {PUBLISHED[game]:.0f}", mean >= PUBLISHED[game]))
        if arguments.peer:
            line["times_the_peer"] = ratio(speed, statistics.median(row["peer_steps_per_second"] for row in own))
            verdicts.append(
                (f"{game}: {shown(line['times_the_peer'])} times rejax's speed", line["times_the_peer"] >= 1)
            )
        summary.append(line)
    return Report(
        title="MinAtar, PPO",
        settings={"steps": arguments.steps, "networks": "like rejax's" if arguments.peer else "the recipes'"},
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=verdicts,
        notes=["steps per second: median over the run's intervals, evaluations and compilation not counted"],
    )


if __name__ == "__main__":
    sys.exit(main())
