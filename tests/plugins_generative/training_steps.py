"""Trains a sampler on arrays, without a run around it."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from advdl.training import FusedLoop, Sampler, Stream, Trainer, Tuning
from advdl.training.schedules import Linear, as_schedule


def trainer_of(
    sampler: Sampler, *, rate: float = 1e-3, updates: int = 1000, beta_1: float = 0.9, decay: bool = False
) -> Trainer:
    tunings = {}
    schedule = Linear(start=rate, end=0.0) if decay else as_schedule(rate)
    for objective in sampler.objectives():
        optimizer = keras.optimizers.Adam(rate, beta_1=beta_1)
        optimizer.build(list(objective.variables))
        tunings[objective.name] = Tuning(optimizer, schedule)
    return Trainer(sampler, tunings, total_updates=updates)


def train(
    sampler: Sampler, data: dict[str, Any], updates: int, *, batch_size: int = 64, jit: bool = False, **tuning: Any
) -> Trainer:
    """Adapts, then updates on batches drawn with replacement."""
    tensors = {name: tf.constant(value) for name, value in data.items()}
    sampler.adapt(tensors)
    trainer = trainer_of(sampler, updates=updates, **tuning)
    run(trainer, tensors, 0, updates, batch_size=batch_size, jit=jit)
    return trainer


def run(
    trainer: Trainer, tensors: dict[str, tf.Tensor], start: int, end: int, *, batch_size: int = 64, jit: bool = False
) -> None:
    sampling, updating = Stream(0, "sample"), Stream(0, "update")
    rows = len(tensors["x"])

    def step(index: tf.Tensor) -> None:
        picked = tf.random.stateless_uniform([batch_size], sampling.at(index), 0, rows, tf.int32)
        trainer.update({name: tf.gather(value, picked) for name, value in tensors.items()}, updating.at(index))

    loop = FusedLoop(step, healthy=trainer.healthy, jit=jit)
    while start < end:
        start = loop.advance(start, end - start)
    assert bool(trainer.healthy)


def seed(step: int = 0) -> tf.Tensor:
    return tf.constant((3, step), tf.int32)


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def traced(function: Any) -> Any:
    """Loops of many steps are slow when each is run by itself."""
    return tf.function(function, autograph=False)
