"""How exactly does a sampler fitted on 1,000 transitions of Pendulum say what follows?

Random actions give the transitions. The error is the mean squared difference from the true simulator over cos, sin and
speed / 8, after one step from states of the same policy that were not trained on, and after 15 steps of the model's own
answers under random actions. `no change` and `linear` (least squares) stand beside the samplers.
"""

import hashlib
import json
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from measure import Report, Row, arguments_parser
from results import Results

TRANSITIONS, TESTED, STEPS = 1_000, 1_000, 15
UNITS = np.array([1.0, 1.0, 1 / 8])
BASELINES = ("no change", "linear")
MODELS: dict[str, dict[str, Any]] = {
    "vae": {"options": {"name": "vae", "latent": 4, "units": [128, 128]}, "bar": 1.2e-2},
    "gan": {"options": {"name": "gan", "units": [128, 128], "noise": 8, "dropout": 0.0}, "bar": None},
    "diffusion": {
        "options": {
            "name": "diffusion",
            "width": 128,
            "depth": 3,
            "steps": 5,
            "sigma_max": 10.0,
            "solver": "trig-heun",
        },
        "bar": 1e-3,
    },
}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--only", help="one sampler alone")
    parser.add_argument("--steps", dest="updates", type=int, default=5_000, help="updates of each sampler (5000)")
    parser.add_argument("--results", type=Path, help="a file that has results, and gets every further one")
    arguments = parser.parse_args()
    pendulums = cache(Pendulums)

    def row(name: str, seed: int) -> Row:
        options: dict[str, Any] = MODELS.get(name, {}).get("options", {})
        digest = hashlib.sha256(json.dumps([options, arguments.updates]).encode()).hexdigest()[:12]

        def make() -> Row:
            data = pendulums(seed)
            return one(name, options, data, seed, arguments.updates) if options else data.baseline(name)

        found = Results(arguments.results, digest).row(make, model=name, seed=seed)
        return {"model": name, "seed": seed, **found}

    names = [*BASELINES, *MODELS] if arguments.only is None else [arguments.only]
    rows = [row(name, seed) for seed in arguments.seeds for name in names]
    verdicts = []
    for name, setting in MODELS.items():
        errors = [row["one_step"] for row in rows if row["model"] == name]
        if errors and setting["bar"]:
            mean = float(np.mean(errors))
            verdicts.append((f"{name}: one-step error {mean:.2g} <= {setting['bar']:.2g}", mean <= setting["bar"]))
    settings = {"transitions": TRANSITIONS, "updates": arguments.updates, "rollout_steps": STEPS}
    report = Report("Pendulum: errors of learnt dynamics", settings, arguments.load, rows, verdicts=verdicts)
    return report.emit(as_json=arguments.json)


class Pendulums:
    """Transitions of a random policy, and the true simulator."""

    def __init__(self, seed: int) -> None:
        import tensorflow as tf

        from advdl.plugin.host import PluginHost
        from advdl.rl import Spaces, TransitionCodec

        self.env: Any = PluginHost.from_environment().build("env", {"name": "advdl/Pendulum-v1"})
        self.spaces = Spaces(self.env.observation_space, self.env.action_space)
        self.codec = TransitionCodec(self.spaces)
        copies = 10
        state, parts = self.env.initial(tf.constant([seed, 0]), batch_size=copies), []
        rng = np.random.default_rng(seed)
        for index in range((TRANSITIONS + TESTED) // copies):
            action = tf.constant(rng.uniform(-2, 2, (copies, 1)).astype(np.float32))
            parts.append(self.step(state, action))
            state = parts[-1]["next_state"]
            if index == TRANSITIONS // copies // 2:
                state = self.env.initial(tf.constant([seed, index]), batch_size=copies)
        fields = {name: tf.concat([part[name] for part in parts], 0) for name in parts[0]}
        order = rng.permutation(TRANSITIONS + TESTED)
        self.train, self.test = (
            {name: tf.gather(value, rows) for name, value in fields.items()}
            for rows in (order[:TRANSITIONS], order[TRANSITIONS:])
        )
        self.actions = tf.constant(rng.uniform(-2, 2, (STEPS, TESTED, 1)).astype(np.float32))

    def step(self, state: Any, action: Any) -> dict[str, Any]:
        import tensorflow as tf

        seed = tf.constant([0, 0])
        following = self.env.transition(state, action, seed)
        return {
            "state": state,
            "observation": self.env.observation(state, seed),
            "action": action,
            "reward": self.env.reward(state, action, following, seed),
            "next_observation": self.env.observation(following, seed),
            "next_state": following,
            "terminated": tf.zeros_like(state[:, 0], tf.bool),
        }

    def errors(self, answer: Any) -> dict[str, float]:
        """``answer(observation, action, seed) -> next_observation``."""
        import tensorflow as tf

        first = answer(self.test["observation"], self.test["action"], tf.constant([1, 0]))
        state, imagined = self.test["state"], self.test["observation"]
        for index, action in enumerate(self.actions):
            imagined = answer(imagined, action, tf.constant([2, index]))
            state = self.env.transition(state, action, tf.constant([0, 0]))
        true = self.env.observation(state, tf.constant([0, 0]))
        pairs = {"one_step": (first, self.test["next_observation"]), f"after_{STEPS}": (imagined, true)}
        return {name: float(np.mean(((a - b).numpy() * UNITS) ** 2)) for name, (a, b) in pairs.items()}

    def baseline(self, name: str) -> Row:
        import tensorflow as tf

        if name == "no change":
            return {**self.errors(lambda observation, action, key: observation), "seconds": None}

        given = self.codec.given(self.train["observation"], self.train["action"]).numpy()
        weights, *_ = np.linalg.lstsq(np.hstack([given, np.ones((len(given), 1))]), self.train["next_observation"])

        def linear(observation: Any, action: Any, key: Any) -> Any:
            rows = self.codec.given(observation, action)
            return tf.concat([rows, tf.ones_like(rows[:, :1])], axis=1) @ tf.constant(weights, tf.float32)

        return {**self.errors(linear), "seconds": None}


def one(name: str, options: dict[str, Any], data: Pendulums, seed: int, updates: int) -> Row:
    import keras
    import tensorflow as tf

    from advdl.plugin.host import PluginHost
    from advdl.training import Dataset, Trainer, Tuning
    from advdl.training.batches import DataBatches
    from advdl.training.schedules import Cosine
    from advdl.training.update_engine import UpdateEngine

    began = time.perf_counter()
    keras.utils.set_random_seed(seed)
    sampler = PluginHost.from_environment().build("sampler", dict(options), data.codec.outcome_spec)
    encoded = data.codec.encode(data.train)
    sampler.adapt(encoded)
    tunings = {}
    for objective in sampler.objectives():
        optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5 if name == "gan" else 0.9)
        optimizer.build(list(objective.variables))
        tunings[objective.name] = Tuning(optimizer, Cosine(start=1e-3, alpha=0.02))
    trainer = Trainer(sampler, tunings, total_updates=updates, clip_norm=10.0)
    batches = DataBatches(Dataset(encoded["x"].numpy(), encoded["c"].numpy(), sampler.spec), batch_size=256, seed=seed)
    engine = UpdateEngine(batches, trainer, seed=seed)
    while engine.updates < updates:
        engine.advance(updates)
    seconds = time.perf_counter() - began

    def answer(observation: Any, action: Any, key: Any) -> Any:
        outcome = sampler.sample(data.codec.given(observation, action), TESTED, key)
        return data.codec.read_outcome(observation, outcome)["next_observation"]

    return {**data.errors(tf.function(answer)), "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
