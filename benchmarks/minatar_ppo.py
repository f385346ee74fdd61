"""Does PPO with its recipes reach gymnax's published returns in MinAtar, and how fast?

Runs `advdl agent train --env MinAtar-GAME --agent ppo --seed N` for each seed and game, one after the other, with the
recipes of the installation: 10 million env steps. The return is the final evaluation's, 100 episodes that training
never saw. gymnax's values are the means of its checkpoints, 10 million steps, with as few actions and with the same
limits of an episode; its games have no sticky actions, ours repeat the last action with probability 0.1.

Every run's result is printed and, with `--results FILE`, written there when it is there; what the file has is not
trained again, as long as the recipe is the same. With `--runs FOLDER` runs are kept, and one that was cut off goes on:

    python benchmarks/minatar_ppo.py --results minatar.jsonl --runs minatar-runs

--peer PYTHON, the interpreter of an environment with rejax and jax, compares the speed: advdl trains rejax's networks,
two of two layers of 256, in the place of the recipes' convolution, and each seed is followed by peer_rejax_ppo.py on
the same cores, with the same algorithm, networks and steps on JAX's CPU backend.
"""

import argparse
import contextlib
import hashlib
import json
import statistics
import subprocess
import sys
from pathlib import Path

from measure import (
    ROOT,
    Report,
    Row,
    arguments_parser,
    ended,
    journal,
    kept_run,
    only_run,
    ratio,
    say,
    sets,
    shown,
    workplace,
)
from results import Results

from advdl.experiment.provenance import git_state

PUBLISHED = {"Breakout": 28.0, "Freeway": 58.0, "SpaceInvaders": 131.0, "Asterix": 15.0, "Seaquest": None}
LIKE_REJAX = {"agent.backbone": '{name="mlp", units=[256, 256], activation="relu"}', "agent.shared": "false"}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--games", nargs="+", choices=PUBLISHED, default=list(PUBLISHED), help="all when left out")
    parser.add_argument("--steps", type=int, default=10_000_000, help="env steps of a run (10000000)")
    parser.add_argument("--peer", metavar="PYTHON", help="the interpreter of an environment with rejax and jax")
    parser.add_argument("--runs", type=Path, help="keep the runs here instead of in a temporary folder")
    parser.add_argument("--results", type=Path, help="a file that has results, and gets every further one")
    arguments = parser.parse_args()
    results = Results(arguments.results)
    with contextlib.nullcontext(arguments.runs) if arguments.runs else workplace() as folder:
        rows = [
            known(game, seed, arguments, folder.resolve(), results)
            for seed in arguments.seeds
            for game in arguments.games
        ]
    return report(rows, arguments).emit(as_json=arguments.json)


def known(game: str, seed: int, arguments: argparse.Namespace, folder: Path, results: Results) -> Row:
    """Returns the result of a game and a seed, after training if there is none."""
    recipe = digest(game, arguments)
    row = results.find(exit_code=0, game=game, seed=seed, recipe=recipe)
    if row is None:
        row = one(game, seed, arguments, folder, recipe)
        results.add(row)
    say(f"{game}, seed {seed}: {shown(row['return_mean'])} in {shown(row['seconds'])} s")
    return row


def digest(game: str, arguments: argparse.Namespace) -> str:
    """Tells recipes and budgets apart: a result is good for these."""
    path = ROOT / "plugins/advdl_policy_gradient/recipes/ppo" / f"advdl_MinAtar-{game}-v0.toml"
    return hashlib.sha256(f"{arguments.steps} {arguments.peer} {path.read_text()}".encode()).hexdigest()[:12]


def one(game: str, seed: int, arguments: argparse.Namespace, folder: Path, recipe: str) -> Row:
    place = folder / f"{game}-{seed}-{recipe}"
    code = train(game, seed, arguments, place, folder / "cache")
    run = only_run(place)
    final = {} if run is None else ended(run)
    return {
        "game": game,
        "seed": seed,
        "return_mean": final.get("return/mean"),
        "return_iqm": final.get("return/iqm"),
        "return_std": final.get("return/std"),
        "length_mean": final.get("length/mean"),
        "kept_step": final.get("step"),
        "steps_per_second": None if run is None else pace(journal(run / "metrics.jsonl")),
        "seconds": None if run is None else sum(json.loads((run / "run.json").read_text())["seconds"].values()),
        "exit_code": code,
        "recipe": recipe,
        "commit": (git_state(ROOT) or {"commit": "none"})["commit"][:10],
        **peer(game, seed, arguments),
    }


def train(game: str, seed: int, arguments: argparse.Namespace, place: Path, cache: Path) -> int:
    """Begins a run, or goes on with the one that is there; returns the exit code."""
    command = ["agent", "train", "--env", f"MinAtar-{game}", "--agent", "ppo", "--seed", str(seed), "--quiet"]
    command += ["--steps", str(arguments.steps), *sets(LIKE_REJAX if arguments.peer else {})]
    return kept_run(command, place, cache)


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
