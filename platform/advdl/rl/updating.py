"""The updates that follow an env step; the same code in every engine, so that what is learnt depends on none."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from advdl.rl.replay_disk import disk_of
from advdl.rl.source import Source
from advdl.training.metrics import RunningMeans
from advdl.training.randomness import Stream
from advdl.training.trainer import Trainer

_EVER = 10**12


class Updating:
    """Makes the updates that a source says are due.

    Args:
        trainer: Makes them.
        source: Says how many are due, and gives their batches.
        metrics: Takes what they report, under ``learn/``.
        seed: The run's seed.
    """

    def __init__(self, trainer: Trainer, source: Source, metrics: RunningMeans, seed: int) -> None:
        self._trainer, self._source, self._metrics = trainer, source, metrics
        self._sample, self._update = Stream(seed, "sample"), Stream(seed, "update")
        self._index = tf.Variable(0, dtype=tf.int64, trainable=False)  # of the last update in its round

    def after(self, env_steps: tf.Tensor, *, jit: bool = True, apart: bool = False) -> None:
        """Makes the updates that follow the step that made the count of env steps ``env_steps``; traceable.

        Args:
            env_steps: The count.
            jit: Whether XLA compiles the updates.
            apart: Whether XLA compiles each update as a program of its own, in a loop that it does not compile.
        """
        if not self._source.updates_in(_EVER):  # it only keeps: there is no update to trace
            return
        update = functools.partial(self._trainer.update, jit=jit)
        make: Callable[..., tuple[tf.Tensor]] = functools.partial(self._make, update)
        if apart and disk_of(self._source):  # drawing goes through Python, and only what follows through XLA
            make = functools.partial(self._make, _by_xla(update))
        elif apart:
            make = _by_xla(make)
        now = env_steps if self._trainer.counts_env_steps else None

        def go_on(index: tf.Tensor) -> tf.Tensor:
            # Asked before every update: a source may end a round early, after what feedback told it.
            return tf.logical_and(index < self._source.updates_due(env_steps), self._trainer.healthy.read_value())

        tf.while_loop(go_on, lambda index: make(index, now), (tf.constant(0, tf.int64),), parallel_iterations=1)

    def diagnosis(self) -> Exception:
        """Repeats the update that failed: its batch and its seed are functions of its number."""
        step = self._trainer.updates - 1
        batch = self._source.sample(self._sample.at(step), self._index)
        return self._trainer.diagnose(batch, self._update.at(step))

    def _make(self, update: Callable[..., Any], index: tf.Tensor, env_steps: tf.Tensor | None) -> tuple[tf.Tensor]:
        step = self._trainer.updates.read_value()
        self._index.assign(index)
        batch = self._source.sample(self._sample.at(step), index)
        report = update(batch, self._update.at(step), env_steps)
        self._source.feedback(batch, report)
        self._metrics.add_report(report)
        return (index + 1,)


def _by_xla(function: Callable[..., Any]) -> Any:
    return tf.function(function, jit_compile=True, autograph=False)
