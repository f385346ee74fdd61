"""Pendulum with another reward: is an agent trained anew in the old model better than one that is fine-tuned?

A run with a world model learns to swing the pendulum up (`--old` real steps). Then it is to be held sideways, and
`--steps` real steps are allowed. `reuse` goes on with the model and trains a new agent in it, under the new reward,
which is known (`world_model.start_from`, `world_model.reward`). `fine-tuned` is the old agent, which learns from the
old transitions with the rewards relabelled and from as many new real steps of its own; `relabelled` is the same, from
random weights. Both make as many updates as `reuse` does. `real only` learns from the new real steps alone, and `old`
is the old agent as it was. Torques are cut into 11, so that DQN can act. Every arm is judged by its last weights, on
episodes of the real env.
"""

import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from measure import Report, Row, arguments_parser, recipe_digest, workplace
from results import Results

BINS = 11
ARMS = ("old", "reuse", "fine-tuned", "relabelled", "real only")
AGENT = {
    "agent.gamma": 0.97,
    "agent.learning_starts": 200,
    "agent.train_every": 64,
    "agent.updates": 32,
    "agent.batch_size": 128,
    "agent.target_every": 100,
    "agent.buffer_size": 50_000,
    "optimizer.learning_rate": 1e-3,
    "evaluation.every": 0,
    "evaluation.stop_at": "never",
    "checkpoint.keep_best": False,
}
IMAGINED, COPIES = 80, 64


class Turned(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Pendulum whose reward is highest where it points sideways; rewards are of what was seen before the step."""

    def reset(self, **kwargs: Any) -> Any:
        """Begins an episode."""
        self._seen, info = super().reset(**kwargs)
        return self._seen, info

    def step(self, action: Any) -> Any:
        """Makes a step."""
        seen = self._seen
        self._seen, _, terminated, truncated, info = self.env.step(action)
        torque = float(np.ravel(action)[0])
        return self._seen, self._cost(seen, torque), terminated, truncated, info

    @staticmethod
    def _cost(seen: Any, torque: float) -> float:
        cosine, sine, speed = map(float, seen)
        off = math.atan2(-cosine, sine)
        return -(off**2 + 0.1 * speed**2 + 0.001 * torque**2)


def turned(observation: Any, action: Any, next_observation: Any) -> Any:
    """The reward of ``Turned``, batched, of numbered torques."""
    import tensorflow as tf

    del next_observation
    cosine, sine, speed = tf.unstack(tf.cast(observation, tf.float32), axis=-1)
    off = tf.atan2(-cosine, sine)
    torque = -2.0 + (tf.cast(action, tf.float32) + 0.5) * 4.0 / BINS  # the middles, as DiscretizeAction takes them
    return -(tf.square(off) + 0.1 * tf.square(speed) + 0.001 * tf.square(torque))


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--old", type=int, default=2_000, help="real steps under the old reward (2000)")
    parser.add_argument("--steps", type=int, default=500, help="real steps under the new reward (500)")
    parser.add_argument("--imagined", type=int, default=IMAGINED, help="steps in the model for each real one (80)")
    parser.add_argument("--updates", type=int, default=3_000, help="updates of the model in a fit (3000)")
    parser.add_argument("--episodes", type=int, default=100, help="episodes of an evaluation (100)")
    parser.add_argument("--results", type=Path, help="a file that has results, and gets every further one")
    arguments = parser.parse_args()
    results = Results(arguments.results, recipe_digest("advdl_generative/recipes/diffusion/env.toml"))
    sizes = {name: getattr(arguments, name) for name in ("old", "steps", "imagined", "episodes")}
    sizes["model_updates"] = arguments.updates
    rows: list[Row] = []
    with workplace() as folder:
        for seed in arguments.seeds:
            arms = Arms(arguments, seed, folder / str(seed))
            rows += [results.row(partial(arms.one, arm), arm=arm, seed=seed, **sizes) for arm in ARMS]
    settings = {**sizes, "seeds": len(arguments.seeds)}
    title = "Pendulum with another reward: the old model and the old agent"
    return Report(title, settings, arguments.load, rows, summary=means(rows), verdicts=verdicts(rows)).emit(
        as_json=arguments.json
    )


class Arms:
    """The arms of a seed; what they begin with is made when the first of them needs it."""

    def __init__(self, arguments: Any, seed: int, folder: Path) -> None:
        from advdl.plugin.host import PluginHost

        self._arguments, self._seed, self._folder = arguments, seed, folder
        self._host = PluginHost.from_environment()
        self._made: Any = None

    def one(self, arm: str) -> Row:
        """Trains an arm; returns its mean return under the new reward, and what it cost."""
        old = self._old()
        steps, imagined = self._arguments.steps, self._arguments.imagined
        if arm == "old":
            return {"return": self._judged(old), "real_steps": 0, "updates": 0}
        if arm == "reuse":
            taken = {"world_model.start_from": str(old.path), "world_model.reward": "model_reuse:turned"}
            return self._row(self._run("dream", arm, {**self._dream(steps), **taken, "world_model.warm_up": 10}))
        if arm == "real only":
            return self._row(self._run("agent", arm, {"steps": steps, "env.num": 10, "agent.learning_starts": 100}))
        updates = steps * imagined // AGENT["agent.train_every"] * AGENT["agent.updates"]
        offline = {"data_model.offline": str(self._merged(old)), "data_model.ratio": 0.0, "steps": int(updates)}
        return self._row(self._run("augmented", arm, offline, self._weights_of(old) if arm == "fine-tuned" else None))

    def _dream(self, steps: int) -> dict[str, Any]:
        return {
            "sampler": "diffusion",
            "steps": steps,
            "env.num": 10,
            "world_model.imagined": self._arguments.imagined,
            "world_model.updates": self._arguments.updates,
            "world_model.envs": COPIES,
        }

    def _old(self) -> Any:
        if self._made is None:
            settings = {**self._dream(self._arguments.old), "world_model.warm_up": 10 * (self._arguments.old // 40)}
            self._made = self._run("dream", "first", settings, turn=False).folder
        return self._made

    def _run(
        self,
        family: str,
        arm: str,
        settings: dict[str, Any],
        start: Callable[..., str] | None = None,
        *,
        turn: bool = True,
    ) -> Any:
        from advdl.experiment.config import resolve_experiment
        from advdl.experiment.console import Silent
        from advdl.experiment.run_folder import RunFolder
        from advdl.experiment.runner import begin

        wrappers: list[Any] = [{"name": "model_reuse:Turned"}] if turn else []
        wrappers.append({"name": "DiscretizeAction", "bins": BINS})
        given = {
            "env": "Pendulum-v1",
            "agent": "dqn",
            "seed": self._seed,
            "env.wrappers": wrappers,
            **AGENT,
            **settings,
        }
        experiment = resolve_experiment(
            self._host,
            command_line={**given, "evaluation.episodes": self._arguments.episodes},
            sets=[],
            config_file=None,
            environ={},
            folder=self._folder,
            family=family,
        )

        def new_folder() -> Any:
            return RunFolder.create(self._folder, "Pendulum-v1", arm.replace(" ", "-"), experiment, ["benchmark"])

        further = {} if start is None else {"start": start}
        return begin(experiment, new_folder, self._host, Silent(), **further)

    def _row(self, outcome: Any) -> Row:
        from advdl.training.checkpoint import CheckpointStore

        kept = CheckpointStore(outcome.folder.checkpoints).load(prefix="trainer/updates").arrays
        return {
            "return": outcome.verdict.figures["return/mean"],
            "real_steps": self._arguments.steps,
            "updates": int(kept["trainer/updates"]),
        }

    def _merged(self, old: Any) -> Path:
        """The old transitions, relabelled, and those of the old agent in the new env, as a file."""
        from advdl.experiment.env_data import write_transitions
        from advdl.experiment.reuse import given_transitions
        from advdl.experiment.schema import WorldModel
        from advdl.rl import Spaces

        env = self._env()
        section = WorldModel(start_from=str(old.path), reward="model_reuse:turned")
        before = given_transitions(section, Spaces(env.observation_space, env.action_space), None)
        now = played(self._act(old), env, self._arguments.steps, self._seed)
        file = self._folder / "merged.npz"
        assert before is not None
        write_transitions(
            file, {name: np.concatenate([before[name], now[name].astype(before[name].dtype)]) for name in now}
        )
        return file

    def _weights_of(self, old: Any) -> Callable[..., str]:
        from advdl.experiment.policy import load_agent

        def start(work: Any, experiment: Any, host: Any) -> str:
            del experiment
            agent, step = load_agent(old, host, "last")
            for name, model in work.agent.models.items():
                model.set_weights(agent.models[name].get_weights())
            return f"the agent is that of step {step:,}"

        return start

    def _judged(self, run: Any) -> float:
        env = self._env()
        act = self._act(run)
        returns = [
            sum(played(act, env, 200, 10_000 + index, random=0.0)["reward"])
            for index in range(self._arguments.episodes)
        ]
        return float(np.mean(returns))

    def _act(self, run: Any) -> Any:
        from advdl.experiment.policy import load_policy

        return load_policy(run, self._host, "last")[0]

    @staticmethod
    def _env() -> Any:
        return gymnasium.wrappers.DiscretizeAction(Turned(gymnasium.make("Pendulum-v1")), BINS)


def played(act: Any, env: Any, steps: int, seed: int, random: float = 0.1) -> dict[str, Any]:
    """Plays with a share of random actions; returns the fields of a transition."""
    rng, rows = np.random.default_rng(seed), []
    seen, _ = env.reset(seed=seed)
    for _ in range(steps):
        action = int(rng.integers(BINS)) if rng.random() < random else int(act(seen[None])[0])
        following, reward, terminated, truncated, _ = env.step(action)
        rows.append((seen, action, reward, following, terminated))
        seen = env.reset()[0] if truncated else following
    names = ("observation", "action", "reward", "next_observation", "terminated")
    return {name: np.stack([row[index] for row in rows]) for index, name in enumerate(names)}


def means(rows: list[Row]) -> list[Row]:
    found = []
    for arm in ARMS:
        returns = [row["return"] for row in rows if row["arm"] == arm]
        found.append({"arm": arm, "mean": float(np.mean(returns)), "worst": min(returns), "best": max(returns)})
    return found


def verdicts(rows: list[Row]) -> list[tuple[str, bool]]:
    mean = {line["arm"]: line["mean"] for line in means(rows)}
    reuse, tuned = mean["reuse"], mean["fine-tuned"]
    return [(f"retraining in the old model ({reuse:.0f}) beats fine-tuning ({tuned:.0f})", reuse > tuned)]


if __name__ == "__main__":
    sys.exit(main())
