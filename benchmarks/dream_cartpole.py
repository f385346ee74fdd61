"""Does an agent that is trained only inside a model of CartPole balance the real one, and what do the controls do?

Every arm is a DQN with the recipe of the real env, evaluated on Gymnasium's own env. `vae` and `diffusion` train in a
model that is fitted to at most `--steps` real transitions, the first 1,000 of them random; training ends as soon as an
evaluation reaches the env's threshold, and `real steps` says where. `untrained` trains in the same VAE at random
weights, and must fail. `model free` learns from as many real steps and no model. Every arm is said as it ends, and with
`--results FILE` written there: what the file has, of the present recipes, is not trained again.
"""

import sys
from pathlib import Path
from typing import Any

from measure import Report, Row, advdl, arguments_parser, journal, only_run, recipe_digest, sets, workplace
from results import Results

SOLVED = 475.0
ARMS: dict[str, list[str]] = {
    "vae": ["--world-model", "vae"],
    "diffusion": ["--world-model", "diffusion"],
    "untrained": ["--world-model", "vae", *sets({"world_model.untrained": "true"})],
    "model free": ["--model-free"],
}
MUST_SOLVE = ("vae", "diffusion")
RECIPES = (
    "advdl_dqn/recipes/dqn/CartPole-v1.toml",
    "advdl_generative/recipes/vae/env.toml",
    "advdl_generative/recipes/diffusion/env.toml",
)


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--only", choices=list(ARMS), help="one arm alone")
    parser.add_argument("--steps", type=int, default=5_000, help="real steps (5000)")
    parser.add_argument("--episodes", type=int, default=100, help="episodes of an evaluation (100)")
    parser.add_argument("--results", type=Path, help="a file that has results, and gets every further one")
    arguments = parser.parse_args()
    results = Results(arguments.results, recipe_digest(*RECIPES))
    arms = [arm for arm in ARMS if arguments.only in (None, arm)]
    with workplace() as folder:
        rows = [result(results, arm, seed, arguments, folder) for seed in arguments.seeds for arm in arms]
    settings = {"real_steps": arguments.steps, "episodes": arguments.episodes, "seeds": len(arguments.seeds)}
    return Report("CartPole: trained in the dream", settings, arguments.load, rows, verdicts=verdicts(rows)).emit(
        as_json=arguments.json
    )


def result(results: Results, arm: str, seed: int, arguments: Any, folder: Path) -> Row:
    asked = {"steps": arguments.steps, "episodes": arguments.episodes}
    return results.row(lambda: one(arm, seed, arguments, folder), arm=arm, seed=seed, **asked)


def one(arm: str, seed: int, arguments: Any, folder: Path) -> Row:
    place = folder / f"{arm.replace(' ', '-')}-{seed}"
    options = {"seed": seed, "steps": arguments.steps, "evaluation.episodes": arguments.episodes}
    command = ["agent", "train", "--env", "CartPole", "--quiet", *ARMS[arm], *sets(options)]
    done = advdl(command, place, folder / "cache")
    if done.code:
        raise SystemExit(f"{arm}, seed {seed}: advdl exited with {done.code}")
    found = done.data["evaluation"]
    run = only_run(place)
    last = journal(run / "metrics.jsonl")[-1] if run else {}
    return {
        "arm": arm,
        "seed": seed,
        "return": found["return/mean"],
        "lowest": found["return/min"],
        "real_steps": done.data["step"],
        "model_steps": int(last["dream/steps"]) if "dream/steps" in last else None,
        "model_updates": int(last["model/updates"]) if "model/updates" in last else None,
        "seconds": done.seconds,
    }


def verdicts(rows: list[Row]) -> list[tuple[str, bool]]:
    found = []
    for arm in ARMS:
        returns = [row["return"] for row in rows if row["arm"] == arm]
        if returns and arm in MUST_SOLVE:
            found.append((f"{arm}: every seed reaches {SOLVED:g} (least: {min(returns):.1f})", min(returns) >= SOLVED))
        if returns and arm == "untrained":
            found.append((f"untrained: no seed reaches {SOLVED:g} (most: {max(returns):.1f})", max(returns) < SOLVED))
    return found


if __name__ == "__main__":
    sys.exit(main())
