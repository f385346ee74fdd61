"""Which backbone sees best in MinAtar? The same agent, steps and optimizer; only the backbone differs.

Runs `advdl agent train --env MinAtar-GAME --agent AGENT --backbone NAME --seed N` with the agent's recipe, 2 million
env steps; DQN makes one update where its recipe makes four, a batch of 64 for 32 env steps. Listed are the
interquartile mean of all final evaluations' episodes over the seeds, the parameters of what acts, and env steps per
second. The networks are the small ones for reinforcement learning, in sizes for a board of ten by ten: none has more
parameters than MinAtar's own, each ends in as many features, and all but `attention` keep where things are. `--sizes
default` takes their default sizes, which are for larger images and several times as slow.

It is long: `--results FILE` keeps what has ended, and with `--runs FOLDER` a run that was cut off goes on.
"""

import argparse
import contextlib
import hashlib
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from measure import Report, Row, arguments_parser, ended, journal, kept_run, only_run, recipe_digest, sets, workplace
from minatar_ppo import pace
from results import Results

KEPT: dict[str, Any] = {"pooling": "flatten", "units": 128}
BOARD: dict[str, dict[str, Any]] = {
    "minatar_cnn": KEPT,
    "resnet": {"widths": [16, 32], "strides": [1, 2], **KEPT},
    "inception": {"stem": 16, "widths": [32, 64], **KEPT},
    "densenet": {"stem": 16, "blocks": [2, 2], "growth": 8, **KEPT},
    "attention": {"stem": 16, "width": 32, "depth": 1, "heads": 2, "units": 128},
}


# With the recipe's four updates DQN's half of the table would take 13 hours of a core.
SETTINGS: dict[str, dict[str, str]] = {"dqn": {"agent.updates": "1"}}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--games", nargs="+", default=["Breakout", "SpaceInvaders"], help="Breakout SpaceInvaders")
    parser.add_argument("--agents", nargs="+", default=["ppo", "dqn"], help="ppo dqn")
    parser.add_argument("--backbones", nargs="+", default=list(BOARD), help=" ".join(BOARD))
    parser.add_argument("--sizes", choices=("board", "default"), default="board", help="of the networks (board)")
    parser.add_argument("--steps", type=int, default=2_000_000, help="env steps of a run (2000000)")
    parser.add_argument("--runs", type=Path, help="keep the runs here instead of in a temporary folder")
    parser.add_argument("--results", type=Path, help="a file that has results, and gets every further one")
    arguments = parser.parse_args()
    with contextlib.nullcontext(arguments.runs) if arguments.runs else workplace() as folder:
        rows = [
            known(game, agent, backbone, seed, arguments, folder.resolve())
            for seed in arguments.seeds
            for game in arguments.games
            for agent in arguments.agents
            for backbone in arguments.backbones
        ]
    return report(rows, arguments).emit(as_json=arguments.json)


def known(game: str, agent: str, backbone: str, seed: int, arguments: argparse.Namespace, folder: Path) -> Row:
    plugins = ("policy_gradient", "dqn")
    digest = recipe_digest(*(f"advdl_{name}/recipes/{agent}/advdl_MinAtar-{game}-v0.toml" for name in plugins))
    options = BOARD[backbone] if arguments.sizes == "board" else {}
    asked = {"game": game, "agent": agent, "backbone": backbone, "seed": seed, "steps": arguments.steps}
    asked["options"] = options
    if agent in SETTINGS:
        asked["settings"] = SETTINGS[agent]
    return Results(arguments.results, digest).row(lambda: one(asked, folder / digest), **asked)


def one(asked: Row, folder: Path) -> Row:
    game, agent, backbone, seed = (asked[name] for name in ("game", "agent", "backbone", "seed"))
    settings = asked.get("settings", {})
    size = hashlib.sha256(json.dumps(asked["options"] | settings).encode()).hexdigest()[:8]
    place = folder / f"{game}-{agent}-{backbone}-{size}-{seed}-{asked['steps']}"
    command = ["agent", "train", "--env", f"MinAtar-{game}", "--agent", agent, "--backbone", backbone]
    command += ["--seed", str(seed), "--steps", str(asked["steps"]), "--set", "evaluation.every=0", "--quiet"]
    options = {f"agent.backbone.{name}": json.dumps(value) for name, value in asked["options"].items()}
    command += sets(options | settings)
    code, run = kept_run(command, place, folder.parent / "cache"), only_run(place)
    if code or run is None:
        raise SystemExit(f"{game}, {agent}, {backbone}, seed {seed}: advdl exited with {code}")
    return {
        "return_iqm": ended(run)["return/iqm"],
        "parameters": parameters(game, {"name": backbone, **asked["options"]}),
        "steps_per_second": pace(journal(run / "metrics.jsonl")),
        "returns": ended(run)["returns"],
    }


def parameters(game: str, backbone: Row) -> int:
    """Counts the backbone's parameters for a game's board."""
    import gymnasium

    from advdl.plugin.host import PluginHost

    space = gymnasium.make(f"advdl_envs:advdl/MinAtar-{game}-v0").observation_space
    return int(PluginHost.from_environment().build("backbone", backbone, space).count_params())


def report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    summary = [
        line([row for row in rows if (row["game"], row["agent"], row["backbone"]) == (game, agent, backbone)])
        for game in arguments.games
        for agent in arguments.agents
        for backbone in arguments.backbones
    ]
    return Report(
        title="MinAtar, backbones",
        settings={
            "steps": arguments.steps,
            "seeds": len(arguments.seeds),
            "recipe": "the installation's",
            "dqn": SETTINGS["dqn"],
            "sizes": arguments.sizes,
        },
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=[better(summary)],
        notes=["return iqm: interquartile mean over every final episode of every seed; parameters: the backbone's"],
    )


def line(rows: list[Row]) -> Row:
    from scipy.stats import trim_mean

    episodes = np.concatenate([row["returns"] for row in rows])
    return {
        **{key: rows[0][key] for key in ("game", "agent", "backbone", "parameters")},
        "return_iqm": float(trim_mean(episodes, 0.25)) if len(episodes) else None,
        "steps_per_second": statistics.median(row["steps_per_second"] or 0.0 for row in rows),
    }


def better(summary: list[Row]) -> tuple[str, bool]:
    """Says which families are better than MinAtar's own network, and where."""
    base = {(row["game"], row["agent"]): row["return_iqm"] for row in summary if row["backbone"] == "minatar_cnn"}
    found = [
        f"{row['backbone']} ({row['game']}, {row['agent']})"
        for row in summary
        if row["backbone"] != "minatar_cnn" and (row["return_iqm"] or 0) > (base.get((row["game"], row["agent"])) or 0)
    ]
    return f"better than minatar_cnn: {', '.join(found) or 'none'}", bool(found)


if __name__ == "__main__":
    sys.exit(main())
