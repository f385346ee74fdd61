"""AugmentedEngine: an engine whose memory is topped up by a model of it, which is fitted again on a cadence."""

from collections.abc import Callable

import tensorflow as tf

from advdl.rl.engine import Engine, Meter
from advdl.rl.fitting import Fitting
from advdl.rl.source import Source
from advdl.rl.synthetic import SyntheticReplay
from advdl.rl.transitions import TransitionCodec, only_transitions
from advdl.training.learner import Batch
from advdl.training.randomness import Stream


class AugmentedEngine:
    """Steps an engine; every so many steps it fits the sampler to the memory and fills the synthetic store anew.

    Args:
        engine: Trains on ``replay``.
        replay: The memory and its store.
        fitting: Fits the store's sampler.
        warm_up: Steps before the first fit, a multiple of the env's copies.
        refit_every: Steps from a fit to the next, likewise; 0 for one fit alone.
    """

    def __init__(
        self, engine: Engine, replay: SyntheticReplay, fitting: Fitting, *, warm_up: int, refit_every: int
    ) -> None:
        self._engine, self._replay, self._fitting = engine, replay, fitting
        self._warm_up, self._refit_every = warm_up, refit_every
        self.metrics: Meter = AugmentedMeter(engine.metrics, fitting)

    @property
    def env_steps(self) -> int:
        """Steps made so far."""
        return self._engine.env_steps

    def build(self) -> None:
        """Traces the programs."""
        self._engine.build()
        self._fitting.build()

    def advance(self, until: int) -> None:
        """Makes steps, or updates of the model, for about one chunk; never past ``until``.

        Raises:
            DivergedError: A loss or a gradient was not finite.
            RunError: The env failed.
        """
        following = self._next_fit()
        if self.env_steps < following:
            self._engine.advance(min(until, following))
        elif self._fitting.advance():
            self._replay.refill()

    def weights_changed(self) -> None:
        """Tells the engine."""
        self._engine.weights_changed()

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of the run by a stable name."""
        model = {f"model/{name}": variable for name, variable in self._fitting.state().items()}
        return {**self._engine.state(), **model}

    def _next_fit(self) -> int:
        """Returns the step at which the next fit is due."""
        made = self._fitting.fits
        if made and not self._refit_every:
            return 10**18
        return self._warm_up + made * self._refit_every


class AugmentedMeter:
    """The engine's means, and those of fitting under ``model/``."""

    def __init__(self, engine: Meter, fitting: Fitting) -> None:
        self._engine, self._fitting = engine, fitting

    def read(self) -> dict[str, float]:
        """Returns the means of the interval, and how much was fitted."""
        model = {name.replace("learn/", "model/", 1): value for name, value in self._fitting.metrics.read().items()}
        counts = {"model/fits": float(self._fitting.fits), "model/updates": float(self._fitting.updates)}
        return {**self._engine.read(), **model, **counts}

    def reset(self) -> None:
        """Starts a new interval."""
        self._engine.reset()
        self._fitting.metrics.reset()

    def peek(self, name: str) -> float | None:
        """Returns one of the engine's means of the interval so far, or None."""
        return self._engine.peek(name)


def memory_batches(memory: Source, codec: TransitionCodec, *, size: int, seed: int) -> Callable[[tf.Tensor], Batch]:
    """Returns ``batch(update)``: whole transitions out of an agent's memory, encoded; traceable.

    Args:
        memory: The agent's memory; its batches hold plain transitions.
        codec: Encodes them.
        size: Transitions in a batch, rounded up to a multiple of the memory's own batches.
        seed: The run's seed.
    """
    draws = Stream(seed, "fit")

    def batch(update: tf.Tensor) -> Batch:
        parts: list[tf.Tensor] = []
        while sum(int(part.shape[0]) for part in parts) < size:
            index = tf.cast(update, tf.int64) * size + len(parts)
            drawn = only_transitions(memory.sample(draws.at(index), tf.constant(0, tf.int64)))
            parts.append(codec.encode_whole(drawn)["x"])
        return {"x": tf.concat(parts, axis=0)}

    return batch
