"""What several devices make of 50 updates, beside what one makes of them; run as a program.

    python replicas_harness.py 4            in one process with so many devices
    TF_CONFIG=... python replicas_harness.py 1   in each of several workers

Prints JSON: by case, the largest difference of a variable.
"""

import json
import os
import sys

import keras
import numpy as np
import tensorflow as tf

from advdl.training import FusedLoop, Learner, Objective, Trainer, Tuning
from advdl.training.cluster import cluster_of
from advdl.training.devices import Devices, claim_devices, parts_of_processor
from advdl.training.replicas import Replicas

UPDATES = 50
BATCH = 32


def net(name, outputs, *, norm=False, inputs=3):
    layers = [keras.Input((inputs,)), keras.layers.Dense(8, activation="tanh", name="hidden")]
    layers += [keras.layers.BatchNormalization(name="norm")] if norm else []
    return keras.Sequential([*layers, keras.layers.Dense(outputs, name="out")], name=name)


class Classifier(Learner):
    """With batch normalisation, whose moments must be those of the whole batch."""

    def __init__(self):
        self.net = net("classifier", 4, norm=True)

    @property
    def models(self):
        return {"net": self.net}

    def objectives(self):
        return [Objective("classify", self.loss, self.net.trainable_variables)]

    def loss(self, batch, seed):
        each = keras.losses.sparse_categorical_crossentropy(
            batch["c"], self.net(batch["x"], training=True), from_logits=True
        )
        return tf.reduce_mean(each), {"each": each, "mean": tf.reduce_mean(each)}


class FarFromZero(Classifier):
    """Normalises what is far from zero: a variance that is a difference of squares loses its digits there."""

    def __init__(self):
        layers = [keras.Input((3,)), keras.layers.BatchNormalization(name="norm"), keras.layers.Dense(4, name="out")]
        self.net = keras.Sequential(layers, name="far")

    def loss(self, batch, seed):
        return super().loss({**batch, "x": batch["x"] + 4.0}, seed)


class Values(Learner):
    """As a DQN: a target network that follows, and an error per sample."""

    def __init__(self):
        self.online, self.target = net("online", 4), net("target", 4)
        self.target.set_weights(self.online.get_weights())

    @property
    def models(self):
        return {"online": self.online, "target": self.target}

    def objectives(self):
        return [Objective("q", self.loss, self.online.trainable_variables)]

    def loss(self, batch, seed):
        goal = tf.stop_gradient(batch["y"] + 0.9 * tf.reduce_max(self.target(batch["x"] + 0.1), -1))
        error = goal - tf.gather(self.online(batch["x"]), batch["c"], batch_dims=1)
        return tf.reduce_mean(keras.ops.where(tf.abs(error) < 1, error**2 / 2, tf.abs(error))), {"each": error}

    def after_update(self, update):
        for ours, theirs in zip(self.target.weights, self.online.weights, strict=True):
            ours.assign(tf.where(update % 7 == 0, theirs.value, ours.value))


class Surrogate(Learner):
    """As a PPO: a loss with numbers of the whole batch."""

    def __init__(self):
        self.net = net("policy", 4)

    @property
    def models(self):
        return {"net": self.net}

    def objectives(self):
        return [Objective("policy", self.loss, self.net.trainable_variables)]

    def prepare(self, batch):
        centred = batch["y"] - tf.reduce_mean(batch["y"])
        return {**batch, "y": centred / tf.math.reduce_std(centred)}

    def loss(self, batch, seed):
        chosen = tf.gather(tf.nn.log_softmax(self.net(batch["x"])), batch["c"], batch_dims=1)
        ratio = tf.exp(chosen + 1.4)
        gain = tf.minimum(ratio * batch["y"], tf.clip_by_value(ratio, 0.8, 1.2) * batch["y"])
        return -tf.reduce_mean(gain), {"ratio": tf.reduce_mean(ratio)}


class Players(Learner):
    """As a GAN: two objectives, and draws inside of the losses."""

    def __init__(self):
        self.generator, self.critic = net("generator", 3), net("critic", 1)

    @property
    def models(self):
        return {"generator": self.generator, "critic": self.critic}

    def objectives(self):
        return [
            Objective("critic", self.critic_loss, self.critic.trainable_variables),
            Objective("generator", self.generator_loss, self.generator.trainable_variables),
        ]

    def fake(self, batch, seed):
        return self.generator(tf.random.stateless_normal(tf.shape(batch["x"]), seed))

    def critic_loss(self, batch, seed):
        real, fake = self.critic(batch["x"]), self.critic(self.fake(batch, seed))
        return tf.reduce_mean(tf.nn.softplus(-real) + tf.nn.softplus(fake)), {}

    def generator_loss(self, batch, seed):
        return tf.reduce_mean(tf.nn.softplus(-self.critic(self.fake(batch, seed)))), {}


class Adapting(Learner):
    """As MAML: each sample is a task, and the loss holds a gradient of its own."""

    def __init__(self):
        self.net = net("adapting", 1, inputs=1)

    @property
    def models(self):
        return {"net": self.net}

    def objectives(self):
        return [Objective("meta", self.loss, self.net.trainable_variables)]

    def loss(self, batch, seed):
        weights = [tf.convert_to_tensor(variable.value) for variable in self.net.trainable_variables]
        losses = [self.adapted(weights, x, y) for x, y in zip(*map(tf.unstack, (batch["x"], batch["y"])), strict=True)]
        return tf.reduce_mean(losses), {}

    def adapted(self, weights, x, slope):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            support = self.at(weights, x[:2], slope)
        fast = [w - 0.1 * g for w, g in zip(weights, tape.gradient(support, weights), strict=True)]
        return self.at(fast, x, slope)

    def at(self, weights, x, slope):
        with keras.StatelessScope(state_mapping=list(zip(self.net.trainable_variables, weights, strict=True))):
            return tf.reduce_mean((self.net(x[:, None])[:, 0] - slope * x) ** 2)


class ClipsFirst(Replicas):
    """The mistake that an optimizer's own clipping makes under a strategy."""

    def _reduced(self, context, objective, present, losses, auxes, gradients):
        clipped = [tf.clip_by_global_norm(some, 0.05)[0] for some in gradients]
        return super()._reduced(context, objective, present, losses, auxes, clipped)


def batch_at(index, size=BATCH):
    def draw(what):
        return tf.stack([tf.constant(what), tf.cast(index, tf.int32)])

    x = tf.random.stateless_normal([size, 3], draw(1)) + tf.cast(tf.range(size)[:, None], tf.float32) / size
    c = tf.random.stateless_uniform([size], draw(2), 0, 4, tf.int32)
    return {"x": x, "c": c, "y": tf.reduce_sum(x, -1) + tf.cast(c, tf.float32)}


def trained(kind, devices, accumulate, *, replicas=Replicas, jit=False, scaled=False, updates=UPDATES):
    """Returns all variables after the updates, and the last report per sample."""
    keras.utils.set_random_seed(3)
    learner = kind()
    tunings = {}
    for objective in learner.objectives():
        optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.01)
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer
        optimizer.build(objective.variables)
        tunings[objective.name] = Tuning(optimizer, lambda step, total: 1e-3)
    shared = None if devices is None else replicas(devices, learner, accumulate=accumulate, jit=jit)
    options = {"clip_norm": 0.05, "accumulate": accumulate, "ema": 0.9, "replicas": shared}
    trainer = Trainer(learner, tunings, total_updates=updates, **options)
    size = 4 if kind is Adapting else BATCH
    each = tf.Variable(tf.zeros([size]))

    def step(index):
        report = trainer.update(batch_at(index, size), tf.stack([tf.constant(7), tf.cast(index, tf.int32)]))
        each.assign(next((value for value in report.values() if value.shape.rank), each.read_value()))

    loop, at = (
        FusedLoop(step, healthy=trainer.healthy, jit=False, chunk_seconds=clock_of(devices), agree=trainer.agreed),
        0,
    )
    loop.build()
    while at < updates:
        at = loop.advance(at, updates - at)
    assert bool(trainer.healthy)
    return {**{name: variable.numpy() for name, variable in trainer.state().items()}, "each": each.numpy()}


def clock_of(devices):
    """How long a call may take: workers do not agree on it, and make calls of the same length nevertheless."""
    resolver = None if devices is None else devices.strategy.cluster_resolver
    return 0.02 if resolver is not None and resolver.task_id else 1.0


def difference(one, other):
    assert one.keys() == other.keys()
    return max(float(np.max(np.abs(one[name].astype(float) - other[name].astype(float)))) for name in one)


def cases(groups, *, few):
    """Yields a name and a difference for each comparison with one device."""
    for kind in (Classifier, FarFromZero, Values) if few else (Classifier, FarFromZero, Values, Surrogate):
        alone = trained(kind, None, 2)
        for count, devices in groups.items():
            yield f"{kind.__name__} on {count}", difference(alone, trained(kind, devices, 2))
            if kind is Values:
                name = f"{kind.__name__} on {count}"
                yield f"{name}, clipped first", difference(alone, trained(kind, devices, 2, replicas=ClipsFirst))
                if not few:
                    yield f"{name}, compiled", difference(alone, trained(kind, devices, 2, jit=True))
    yield from real_agents(groups)
    yield from real_models(groups)
    if few:
        return
    for kind in (Players, Adapting):
        for count, devices in groups.items():
            yield f"{kind.__name__} on {count}", difference(trained(kind, None, count), trained(kind, devices, 1))
    (count, devices), *_ = groups.items()
    alone, shared = (trained(Surrogate, which, 2, scaled=True) for which in (None, devices))
    yield f"scaled loss on {count}", difference(alone, shared)


PRACTICE = {
    "trainer.jit": "off",
    "trainer.clip_norm": "0.05",
    "trainer.accumulate": "2",
    "trainer.ema": "0.9",
    "optimizer.name": "adamw",
    "optimizer.weight_decay": "0.01",
    "optimizer.learning_rate": "1e-3",
}
"""What is hard to share, all at once: clipping that bites, parts of a batch, decoupled decay, averages."""

SMALL_AGENTS = {
    "dqn": {"agent.learning_starts": "64", "agent.batch_size": "32", "agent.train_every": "8"},
    "ppo": {"agent.horizon": "16", "agent.batch_size": "32", "agent.epochs": "4"},
}


def real_agents(groups):
    """The agents themselves, env and all; their options are as small as their code allows."""
    small = {"agent.backbone": "{name='mlp',units=[8]}", "env.num": "8"}
    for name, own in SMALL_AGENTS.items():
        settings = small | own | PRACTICE
        alone = played(name, settings, None)
        for count, devices in groups.items():
            yield f"{name} on {count}", difference(alone, played(name, settings, devices))


def played(name, settings, devices, *, updates=UPDATES):
    """Returns the trainer's variables after the updates of an agent in CartPole."""
    from pathlib import Path

    from advdl.experiment import build
    from advdl.experiment.config import resolve_experiment
    from advdl.plugin.host import PluginHost

    host = PluginHost.from_environment()
    experiment = resolve_experiment(
        host,
        command_line={"env": "CartPole-v1", "agent": name},
        sets=[f"{key}={value}" for key, value in settings.items()],
        config_file=None,
        environ={},
        folder=Path("/nonexistent"),
    )
    training = build.build_training(experiment, host, devices=devices)
    assert (training.trainer.replicas is None) == (devices is None)
    training.engine.build()
    while int(training.trainer.updates) < updates:
        training.engine.advance(training.engine.env_steps + 1)
    return {key: variable.numpy() for key, variable in training.trainer.state().items()}


SMALL_MODELS = {
    "classifier": {
        "learner": "classifier",
        "learner.backbone": "{name='mlp',units=[8]}",
        "learner.label_smoothing": "0.1",
    },
    # Smooth throughout: where rounding carries a rectifier over its kink, a whole gradient changes, on one device too.
    "images": {
        "learner": "classifier",
        "learner.backbone": "{name='resnet',widths=[4],strides=[1],norm='batch',activation='silu',units=8}",
    },
    "vae": {"sampler": "vae", "sampler.network": "dense", "sampler.units": "[8]"},
    "gan": {"sampler": "gan", "sampler.network": "dense", "sampler.units": "[8]", "sampler.noise": "4"},
    "maml": {"adapter": "maml", "learner.backbone": "{name='mlp',units=[8]}", "meta.batch": "8"},
}


def real_models(groups):
    """The built-in learners of data and of tasks.

    Where a loss draws, every part has draws of its own, so one device has to make as many parts as all of them.
    """
    for name in SMALL_MODELS:
        for count, devices in groups.items():
            # No draws in its loss, and the moments of a batch normalisation are those of a part on all devices.
            alone = learnt(name, None, accumulate=2 if name == "images" else 2 * count)
            yield f"{name} on {count}", difference(alone, learnt(name, devices, accumulate=2))


def learnt(name, devices, *, accumulate, updates=UPDATES):
    """Returns the trainer's variables after the updates of a learner of digits, or of sinusoids."""
    from pathlib import Path

    from advdl.experiment import build, meta_work, model_work
    from advdl.experiment.config import resolve_experiment
    from advdl.plugin.host import PluginHost
    from advdl.training import MetaEngine
    from advdl.training.batches import DataBatches
    from advdl.training.update_engine import UpdateEngine

    host, settings = PluginHost.from_environment(), SMALL_MODELS[name]
    trained = next(iter(settings))
    settings = settings | PRACTICE | {"trainer.accumulate": str(accumulate), "steps": str(updates)}
    experiment = resolve_experiment(
        host,
        command_line={},
        sets=[f"{key}={value}" for key, value in settings.items()],
        config_file=None,
        environ={},
        folder=Path("/nonexistent"),
        family="meta" if trained == "adapter" else trained,
    )
    if trained == "adapter":
        parts = meta_work.build_parts(experiment, host)
        trainer = build.build_trainer(experiment, host, parts.adapter, updates, devices)
        size = experiment.get("meta.batch")
        engine = MetaEngine(parts.tasks, parts.adapter, trainer, meta_batch=size, seed=0, jit=False)
    else:
        parts = model_work.build_parts(experiment, host)
        trainer = build.build_trainer(experiment, host, parts.learner, updates, devices)
        engine = UpdateEngine(DataBatches(parts.training, batch_size=BATCH, seed=0), trainer, seed=0, jit=False)
    assert (trainer.replicas is None) == (devices is None)
    engine.build()
    while engine.updates < updates:
        engine.advance(updates)
    return {key: variable.numpy() for key, variable in trainer.state().items()}


def main():
    devices, together = claim_devices(int(sys.argv[1]), os.environ), cluster_of(os.environ) is not None
    # What is trained alone for comparison must not find the other workers.
    os.environ.pop("TF_CONFIG", None)
    if together:
        groups = {devices.strategy.num_replicas_in_sync: devices}
    else:
        groups = {2: Devices(parts_of_processor(2)), int(sys.argv[1]): devices}
    found = {}
    for name, value in cases(groups, few=together):
        found[name] = value
        print(f"{name}: {value:.2g}", file=sys.stderr, flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
