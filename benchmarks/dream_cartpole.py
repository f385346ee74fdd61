"""Does an agent that is trained only inside a model of CartPole balance the real one, and what do the controls do?

Every arm is a DQN with the recipe of the real env, evaluated on Gymnasium's own env. `vae` and `diffusion` train in a
model that is fitted to at most `--steps` real transitions, the first 1,000 of them random; training ends as soon as an
evaluation reaches the env's threshold, and `real steps` says where. `untrained` trains in the same VAE at random
weights, and must fail. `model free` learns from as many real steps and no model. Every arm is said as it ends.
"""

import sys
from pathlib import Path
from typing import Any

from measure import Report, Row, advdl, arguments_parser, journal, only_run, say, sets, workplace

SOLVED = 475.0
ARMS: dict[str, list[str]] = {
    "vae": ["--world-model", "vae"],
    "diffusion": ["--world-model", "diffusion"],
    "untrained": ["--world-model", "vae", *sets({"world_model.untrained": "true"})],
    "model free": ["--model-free"],
}
MUST_SOLVE = ("vae", "diffusion")


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--only", choices=list(ARMS), help="one arm alone")
    parser.add_argument("--steps", type=int, default=5_000, help="real steps (5000)")
    parser.add_argument("--episodes", type=int, default=100, help="episodes of an evaluation (100)")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with workplace() as folder:
        for seed in arguments.seeds:
            for arm in ARMS:
                if arguments.only in (None, arm):
                    rows.append(one(arm, seed, arguments, folder))
                    say(str(rows[-1]))
    settings = {"real_steps": arguments.steps, "episodes": arguments.episodes, "seeds": len(arguments.seeds)}
    return Report("CartPole: trained in the dream", settings, arguments.load, rows, verdicts=verdicts(rows)).emit(
        as_json=arguments.json
    )


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
