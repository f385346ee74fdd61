"""Sampler: draws x given c. The contract of generative models: VAEs, GANs, diffusion models and whatever comes."""

import abc
import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.training.data_learner import DataLearner
from advdl.training.dataset import Dataset
from advdl.training.learner import Batch
from advdl.training.randomness import Stream, fold
from advdl.training.sample_pictures import is_image, sheet

_SHEET = 10


class Sampler(DataLearner):
    """Learns a distribution of x, or of x given c, and draws from it.

    A sample is a function of Gaussian noise, of c and of a seed, so that one can walk from a sample to another through
    the noise. ``spec.c`` is None (unconditional), ``Discrete`` (a class) or a ``Box`` (a vector).
    """

    @property
    @abc.abstractmethod
    def noise_shape(self) -> tuple[int, ...]:
        """The shape of the standard normal noise of which a sample is made; ``(0,)`` if it is made of none."""

    @abc.abstractmethod
    def generate(self, noise: tf.Tensor, c: tf.Tensor | None, seed: tf.Tensor) -> tf.Tensor:
        """Turns noise into samples; traceable, and changes no variable.

        Args:
            noise: Standard normal, float32 ``[count, *noise_shape]``.
            c: What the samples are given, ``[count, ...]`` in ``spec.c``'s dtype; None if the spec has no c.
            seed: Stateless seed, int32 of shape [2], for what is random besides the noise.

        Returns:
            ``[count, ...]`` in ``spec.x``'s dtype and within its bounds.
        """

    def sample(self, c: tf.Tensor | None, count: int, seed: tf.Tensor) -> tf.Tensor:
        """Draws samples; traceable, and changes no variable.

        Args:
            c: What the samples are given, ``[count, ...]``; None if the spec has no c.
            count: How many, a plain number: it is part of the traced program.
            seed: Stateless seed, int32 of shape [2]. The same seed gives the same samples.

        Returns:
            ``[count, ...]`` in ``spec.x``'s dtype.

        Raises:
            UsageError: A conditional sampler got no c, an unconditional one got one, or it has another shape.
        """
        check_condition(self.spec.c, c, count)
        noise = tf.random.stateless_normal([count, *self.noise_shape], fold(seed, 1))
        return self.generate(noise, c, fold(seed, 2))

    def pictures(self, data: Dataset, seed: int) -> Mapping[str, NDArray[np.uint8]]:
        """Draws a sheet of samples, and walks through the noise from a sample to another; nothing if x is no image.

        A row has one c, taken from the data in order: with ten classes and ten rows, each class has a row.
        """
        if not is_image(self.spec.x):
            return {}
        program, c = self._sheets, rows_of_one_c(data, _SHEET, _SHEET)
        drawn = {"samples": sheet(program.draw(_SHEET**2, seed, c), _SHEET, self.spec.x)}
        if math.prod(self.noise_shape):
            walks = program.walks(_SHEET, _SHEET, seed, c)
            drawn["interpolation"] = sheet(walks, _SHEET, self.spec.x)
        return drawn

    @cached_property
    def _sheets(self) -> "SampleProgram":
        """Traced once, not at each of a run's evaluations."""
        return SampleProgram(self, batch_size=_SHEET**2)

    def energy_score(self, batch: Batch, seed: tf.Tensor, *, draws: int = 32) -> tf.Tensor:
        """Returns the energy score of held-out data, ``[batch]``; lower is better, and traceable.

        ``mean |x - y_i| - mean |y_i - y_j| / 2`` over draws y of x given the same c: a strictly proper score of any
        sampler (Gneiting & Raftery 2007), in the units of x, the Euclidean norm over all of its components.

        Args:
            batch: Held-out data.
            seed: Stateless seed, int32 of shape [2].
            draws: How many y a sample is compared with, at least 2.
        """
        rows = batch["x"].shape[0]
        x = tf.reshape(tf.cast(batch["x"], tf.float32), [rows, -1])
        c = None if self.spec.c is None else tf.repeat(batch["c"], draws, axis=0)
        count = draws if c is None else draws * rows
        drawn = tf.cast(self.sample(c, count, seed), tf.float32)
        drawn = tf.reshape(drawn, [-1, draws, x.shape[-1]])
        near = tf.reduce_mean(_distances(x[:, None], drawn)[:, 0], axis=-1)
        spread = tf.reduce_sum(_distances(drawn, drawn), axis=(1, 2)) / (draws * (draws - 1))
        return near - 0.5 * spread


class SampleProgram:
    """Draws any number of samples with one compiled program.

    Args:
        sampler: What draws.
        batch_size: Samples a call of the program; the rest of the last call is thrown away.
        jit: Whether XLA compiles it: worth its compile time for dense networks, seldom for convolutions on a CPU.
    """

    def __init__(self, sampler: Sampler, *, batch_size: int = 256, jit: bool = False) -> None:
        self._sampler, self._batch_size = sampler, batch_size
        self._program = tf.function(self._draw, jit_compile=jit, autograph=False)
        self._walk = tf.function(sampler.generate, jit_compile=jit, autograph=False)

    def draw(self, count: int, seed: int, c: Any = None) -> NDArray[Any]:
        """Returns ``count`` samples, ``[count, ...]``; how many are asked for does not change the first ones.

        Raises:
            UsageError: ``c`` is missing, too many or of the wrong shape.
        """
        given = None if c is None else np.asarray(c)
        check_condition(self._sampler.spec.c, given, count)
        stream = Stream(seed, "samples")
        parts = [
            self._program(rows, stream.at(index)).numpy() for index, rows in enumerate(self._batches(given, count))
        ]
        drawn: NDArray[Any] = np.concatenate(parts)[:count]
        return drawn

    def walks(self, rows: int, steps: int, seed: int, c: Any = None) -> NDArray[Any]:
        """Walks ``rows`` times from a random sample to another.

        Args:
            rows: How many walks.
            steps: Samples on each, both ends included.
            seed: Chooses the ends.
            c: What they are given, ``[rows * steps, ...]``, walk by walk; None if the spec has no c.

        Returns:
            ``[rows * steps, ...]``, walk by walk.

        Raises:
            UsageError: The sampler makes its samples of no noise, or ``c`` does not fit.
        """
        check_condition(self._sampler.spec.c, c, rows * steps)
        shape = self._sampler.noise_shape
        if not math.prod(shape):
            raise UsageError("this sampler makes its samples of no noise, so there is nothing between two of them")
        ends = np.random.default_rng(seed).normal(size=(rows, 2, *shape))
        shares = np.linspace(0.0, 1.0, steps)
        noise = np.concatenate([slerp(start, end, shares) for start, end in ends]).astype(np.float32)
        given = None if c is None else tf.constant(np.asarray(c, self._sampler.spec.c.dtype))  # type: ignore[union-attr]
        walked: NDArray[Any] = self._walk(tf.constant(noise), given, Stream(seed, "walk").at(0)).numpy()
        return walked

    def _batches(self, c: NDArray[Any] | None, count: int) -> Iterator[tf.Tensor | None]:
        for start in range(0, count, self._batch_size):
            if c is None or self._sampler.spec.c is None:
                yield None
                continue
            rows = np.resize(c[start : start + self._batch_size], (self._batch_size, *c.shape[1:]))
            yield tf.constant(rows.astype(self._sampler.spec.c.dtype))

    def _draw(self, c: tf.Tensor | None, seed: tf.Tensor) -> tf.Tensor:
        return self._sampler.sample(c, self._batch_size, seed)


def slerp(start: NDArray[Any], end: NDArray[Any], shares: NDArray[Any]) -> NDArray[Any]:
    """Interpolates along the great circle between two vectors, ``[len(shares), *start.shape]``."""
    one, two = start.ravel().astype(np.float64), end.ravel().astype(np.float64)
    cosine = float(one @ two) / max(float(np.linalg.norm(one) * np.linalg.norm(two)), 1e-12)
    angle = math.acos(min(max(cosine, -1.0), 1.0))
    if math.sin(angle) < 1e-4:
        weights = np.stack([1.0 - shares, shares], axis=1)
    else:
        weights = np.stack([np.sin((1.0 - shares) * angle), np.sin(shares * angle)], axis=1) / math.sin(angle)
    return (weights @ np.stack([one, two])).reshape(len(shares), *start.shape)


def rows_of_one_c(data: Dataset, rows: int, columns: int) -> NDArray[Any] | None:
    """Picks a condition for each row of a sheet, ``[rows * columns, ...]``: classes in order, vectors as they come."""
    if data.c is None:
        return None
    if isinstance(data.spec.c, gymnasium.spaces.Discrete):
        first = np.resize(np.unique(data.c), rows)
    else:
        first = data.c[np.arange(rows) % len(data)]
    return first.repeat(columns, axis=0)


def check_condition(space: gymnasium.Space[Any] | None, c: Any, count: int) -> None:
    """Refuses a condition that does not fit a sampler.

    Raises:
        UsageError: It is missing, not wanted, too long, of another shape, or (of an array) a class that is none.
    """
    if space is None and c is None:
        return
    if space is None:
        raise UsageError("this sampler is unconditional: it takes no c", hint="leave c out")
    expected = (count, *(space.shape or ()))
    if c is None:
        raise UsageError(f"this sampler draws x given c, and got no c: give one of shape {list(expected)} ({space})")
    if tuple(c.shape) != expected:
        raise UsageError(f"c must have the shape {list(expected)}, not {list(c.shape)} ({space})")
    if isinstance(c, np.ndarray) and isinstance(space, gymnasium.spaces.Discrete):
        unknown = c[(c < space.start) | (c >= space.start + space.n)]
        if len(unknown):
            last = space.start + space.n - 1
            raise UsageError(f"there is no class {unknown[0]}: this sampler's are {space.start} to {last}")


def _distances(one: tf.Tensor, two: tf.Tensor) -> tf.Tensor:
    """Returns Euclidean distances ``[..., n, m]`` of rows ``[..., n, size]`` and ``[..., m, size]``."""
    squares = [tf.reduce_sum(tf.square(rows), axis=-1) for rows in (one, two)]
    product = tf.matmul(one, two, transpose_b=True)
    return tf.sqrt(tf.maximum(squares[0][..., :, None] + squares[1][..., None, :] - 2.0 * product, 0.0))
