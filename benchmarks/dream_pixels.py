"""Does an actor-critic that is trained only inside a model of pixel Catch play better than one on as many real steps?

Every arm is the same PPO with the same settings, sees the same 10 x 5 pixels, and is judged once, at the end, by
`--episodes` episodes of the real env: 1 for a ball that is caught, -1 for one that is not. `diffusion` and `vae` train
in a model that is fitted to `--steps` real steps, the first half of them random. `untrained` trains in the diffusion
model at random weights, and must fail. `model free` is PPO on as many real steps; `updates matched` goes through its
rollouts so often that it makes as many updates as PPO makes in the model. `dqn` is what a replay makes of the same
real steps, without a model and with as many updates: whether a model is needed at all.

Every arm is said as it ends, and with `--results FILE` written there: what the file has, of the present recipes and
settings, is not trained again.
"""

import statistics
import sys
from pathlib import Path
from typing import Any

from measure import Report, Row, advdl, arguments_parser, journal, only_run, recipe_digest, sets, workplace
from results import Results

ENV = "advdl/Catch-v0"
PPO = {
    "agent.backbone.units": "[64,64]",
    "agent.gamma": 0.95,
    "agent.horizon": 16,
    "agent.epochs": 4,
    "agent.batch_size": 256,
    "agent.entropy": 0.01,
    "optimizer.learning_rate": 1e-3,
}
DQN = {
    "agent.backbone.units": "[64,64]",
    "agent.gamma": 0.95,
    "agent.buffer_size": 10_000,
    "agent.learning_starts": 200,
    "agent.train_every": 10,
    "agent.batch_size": 128,
    "agent.target_every": 200,
    "optimizer.learning_rate": 1e-3,
}
MODEL = {
    "world_model.refit_every": 500,
    "world_model.updates": 2400,
    "world_model.batch_size": 64,
    "world_model.imagined": 40,
    "world_model.envs": 64,
    "world_model.horizon": 15,
}
ARMS = ("diffusion", "vae", "untrained", "model free", "updates matched", "dqn")
RECIPES = ("advdl_generative/recipes/dynamics_diffusion/env.toml", "advdl_generative/recipes/dynamics_vae/env.toml")


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--only", choices=ARMS, help="one arm alone")
    parser.add_argument("--steps", type=int, default=2_000, help="real steps (2000)")
    parser.add_argument("--episodes", type=int, default=200, help="episodes that judge (200)")
    parser.add_argument("--results", type=Path, help="a file that has results, and gets every further one")
    arguments = parser.parse_args()
    results = Results(arguments.results, recipe_digest(*RECIPES))
    arms = [arm for arm in ARMS if arguments.only in (None, arm)]
    with workplace() as folder:
        rows = [result(results, arm, seed, arguments, folder) for seed in arguments.seeds for arm in arms]
    settings = {"real_steps": arguments.steps, "episodes": arguments.episodes, "seeds": len(arguments.seeds)}
    return Report(
        "Pixel Catch: trained in the dream", settings, arguments.load, rows, summary(rows), verdicts(rows)
    ).emit(as_json=arguments.json)


def result(results: Results, arm: str, seed: int, arguments: Any, folder: Path) -> Row:
    options = options_of(arm, arguments.steps) | {"steps": arguments.steps, "evaluation.episodes": arguments.episodes}
    asked = {"arm": arm, "seed": seed, "options": options}
    row = results.row(lambda: one(arm, seed, options, folder), **asked)
    return {name: value for name, value in row.items() if name != "options"}


def one(arm: str, seed: int, options: Row, folder: Path) -> Row:
    place = folder / f"{arm.replace(' ', '-')}-{seed}"
    command = ["agent", "train", "--env", ENV, "--quiet", *words_of(arm), *sets({**options, "seed": seed})]
    done = advdl(command, place, folder / "cache")
    if done.code:
        raise SystemExit(f"{arm}, seed {seed}: advdl exited with {done.code}")
    run = only_run(place)
    lines = journal(run / "metrics.jsonl") if run else []
    last: Row = {name: value for line in lines for name, value in line.items()}
    return {
        "arm": arm,
        "seed": seed,
        "return": done.data["evaluation"]["return/mean"],
        "real_steps": done.data["step"],
        "model_steps": whole(last.get("dream/steps")),
        "model_updates": whole(last.get("model/updates")),
        "agent_updates": agent_updates(run) if run else None,
        "return_in_model": last.get("dream/return"),
        "seconds": done.seconds,
    }


def agent_updates(run: Path) -> int:
    from advdl.training.checkpoint import CheckpointStore

    kept = CheckpointStore(run / "checkpoints").load(prefix="trainer/updates").arrays
    return int(kept["trainer/updates"])


def words_of(arm: str) -> list[str]:
    if arm == "dqn":
        return ["--agent", "dqn", "--model-free"]
    world = {"diffusion": "diffusion", "untrained": "diffusion", "vae": "vae"}.get(arm)
    return ["--agent", "ppo", *(["--world-model", world] if world else ["--model-free"])]


def options_of(arm: str, steps: int) -> Row:
    judged = {"evaluation.every": 0, "evaluation.stop_at": "never", "log.every": 500}
    if arm == "dqn":
        return judged | DQN | {"agent.updates": round(updates(steps) / steps * DQN["agent.train_every"])}
    if arm == "model free":
        return judged | PPO
    if arm == "updates matched":
        rounds = steps // (PPO["agent.horizon"] * 10)
        return judged | PPO | {"agent.epochs": round(updates(steps) / rounds)}  # a round is one batch
    model = judged | PPO | MODEL | {"world_model.warm_up": steps // 2}
    model |= {} if arm == "vae" else {"dynamics.width": 16}
    return model | ({"world_model.untrained": "true"} if arm == "untrained" else {})


def updates(steps: int) -> int:
    """Returns how many updates PPO makes in the model."""
    rollout = PPO["agent.horizon"] * MODEL["world_model.envs"]
    return steps * MODEL["world_model.imagined"] // rollout * PPO["agent.epochs"] * (rollout // PPO["agent.batch_size"])


def whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def of(rows: list[Row], arm: str) -> list[float]:
    return [row["return"] for row in rows if row["arm"] == arm]


def summary(rows: list[Row]) -> list[Row]:
    found = []
    for arm in ARMS:
        returns = of(rows, arm)
        if returns:
            ends = {"mean": statistics.fmean(returns), "least": min(returns), "most": max(returns)}
            found.append({"arm": arm, "seeds": len(returns), **ends})
    return found


def verdicts(rows: list[Row]) -> list[tuple[str, bool]]:
    dreamt, found = of(rows, "diffusion"), []
    for arm in ("model free", "updates matched", "untrained"):
        other = of(rows, arm)
        if dreamt and other:
            claim = f"diffusion: every seed is above every one of {arm} ({min(dreamt):.2f} against {max(other):.2f})"
            found.append((claim, min(dreamt) > max(other)))
    return found


if __name__ == "__main__":
    sys.exit(main())
