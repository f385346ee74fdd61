"""Policies as distributions over actions: which one fits an action space, and its densities.

A *raw* action is what a distribution draws and what its density is taken of. ``ActionModel.to_env`` turns it into
the action that the env gets: a ``Discrete`` space may start elsewhere than at 0, a ``Box`` has bounds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import gymnasium
import numpy as np
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import UsageError
from advdl.training.randomness import fold

Bounds = Literal["clip", "squash"]
"""How a Gaussian keeps to a ``Box``: cut off at its bounds, or bent into them by a tanh."""

_LOG_2PI = math.log(2.0 * math.pi)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(32)


class Distribution(Protocol):
    """A batch of independent distributions over raw actions."""

    def sample(self, seed: tf.Tensor) -> tf.Tensor:
        """Draws one raw action each, ``[batch, ...]``; ``seed`` is int32 of shape [2]."""

    def mode(self) -> tf.Tensor:
        """Returns the raw actions that a policy without exploration takes."""

    def log_prob(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns the log-probabilities (or log-densities) of raw actions, ``[batch]``."""

    def entropy(self) -> tf.Tensor:
        """Returns the entropies in nats, ``[batch]``."""


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of ``n`` choices.

    Attributes:
        logits: ``[batch, n]``, not necessarily normalised.
    """

    logits: tf.Tensor

    def sample(self, seed: tf.Tensor) -> tf.Tensor:
        """Draws by the Gumbel-max trick; int64 ``[batch]``."""
        uniform = tf.random.stateless_uniform(tf.shape(self.logits), seed, minval=1e-20)
        return tf.argmax(self.logits - tf.math.log(-tf.math.log(uniform)), axis=-1)

    def mode(self) -> tf.Tensor:
        """Returns the likeliest choice; int64 ``[batch]``."""
        return tf.argmax(self.logits, axis=-1)

    def log_prob(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns ``log p(raw)``, ``[batch]``."""
        taken = tf.one_hot(raw, self.logits.shape[-1], dtype=self.logits.dtype)
        return tf.reduce_sum(tf.nn.log_softmax(self.logits) * taken, axis=-1)

    def entropy(self) -> tf.Tensor:
        """Returns ``-sum p log p``, ``[batch]``."""
        log_p = tf.nn.log_softmax(self.logits)
        return -tf.reduce_sum(tf.exp(log_p) * log_p, axis=-1)


@dataclass(frozen=True, slots=True)
class Independent:
    """Several choices at once, each with its own categorical distribution.

    Attributes:
        parts: One distribution for each component of the action.
    """

    parts: Sequence[Categorical]

    def sample(self, seed: tf.Tensor) -> tf.Tensor:
        """Draws every component; int64 ``[batch, components]``."""
        return tf.stack([part.sample(fold(seed, index)) for index, part in enumerate(self.parts)], axis=-1)

    def mode(self) -> tf.Tensor:
        """Returns each component's likeliest choice; int64 ``[batch, components]``."""
        return tf.stack([part.mode() for part in self.parts], axis=-1)

    def log_prob(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns the sum over the components, ``[batch]``."""
        return tf.add_n([part.log_prob(raw[:, index]) for index, part in enumerate(self.parts)])

    def entropy(self) -> tf.Tensor:
        """Returns the sum over the components, ``[batch]``."""
        return tf.add_n([part.entropy() for part in self.parts])


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """Independent yes-or-no choices.

    Attributes:
        logits: ``[batch, n]``: log-odds of yes.
    """

    logits: tf.Tensor

    def sample(self, seed: tf.Tensor) -> tf.Tensor:
        """Draws zeros and ones; int64 ``[batch, n]``."""
        uniform = tf.random.stateless_uniform(tf.shape(self.logits), seed)
        return tf.cast(uniform < tf.sigmoid(self.logits), tf.int64)

    def mode(self) -> tf.Tensor:
        """Returns what is likelier; int64 ``[batch, n]``."""
        return tf.cast(self.logits > 0.0, tf.int64)

    def log_prob(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns the sum over the choices, ``[batch]``."""
        labels = tf.cast(raw, self.logits.dtype)
        return -tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=self.logits), axis=-1)

    def entropy(self) -> tf.Tensor:
        """Returns the sum over the choices, ``[batch]``."""
        return tf.reduce_sum(tf.nn.softplus(self.logits) - tf.sigmoid(self.logits) * self.logits, axis=-1)


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A Gaussian with a diagonal covariance.

    Attributes:
        mean: ``[batch, n]``.
        log_std: ``[batch, n]``.
    """

    mean: tf.Tensor
    log_std: tf.Tensor

    def sample(self, seed: tf.Tensor) -> tf.Tensor:
        """Draws; float32 ``[batch, n]``."""
        return self.mean + tf.exp(self.log_std) * tf.random.stateless_normal(tf.shape(self.mean), seed)

    def mode(self) -> tf.Tensor:
        """Returns the mean."""
        return self.mean

    def log_prob(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns the log-density, ``[batch]``."""
        distance = (raw - self.mean) * tf.exp(-self.log_std)
        return -tf.reduce_sum(0.5 * tf.square(distance) + self.log_std + 0.5 * _LOG_2PI, axis=-1)

    def entropy(self) -> tf.Tensor:
        """Returns ``sum(log_std + log(2 pi e) / 2)``, ``[batch]``."""
        return tf.reduce_sum(self.log_std + 0.5 * (_LOG_2PI + 1.0), axis=-1)


@dataclass(frozen=True, slots=True)
class SquashedGaussian:
    """The tanh of a Gaussian, within (-1, 1) (Haarnoja et al. 2018, arXiv:1801.01290, appendix C).

    A raw action is the value before the tanh, so that its density needs no inverse; the density is that of the
    value after it.

    Attributes:
        inner: The Gaussian.
    """

    inner: Gaussian

    def sample(self, seed: tf.Tensor) -> tf.Tensor:
        """Draws values before the tanh; float32 ``[batch, n]``."""
        return self.inner.sample(seed)

    def mode(self) -> tf.Tensor:
        """Returns the Gaussian's mean."""
        return self.inner.mean

    def log_prob(self, raw: tf.Tensor) -> tf.Tensor:
        """Returns the log-density of ``tanh(raw)``, ``[batch]``."""
        return self.inner.log_prob(raw) - tf.reduce_sum(_log_slope(raw), axis=-1)

    def entropy(self) -> tf.Tensor:
        """Returns the entropies, ``[batch]``: the Gaussian's, and the slope's mean by Gauss-Hermite quadrature."""
        nodes = tf.constant(_NODES, tf.float32)
        weights = tf.constant(_WEIGHTS / _WEIGHTS.sum(), tf.float32)
        points = self.inner.mean[..., None] + tf.exp(self.inner.log_std)[..., None] * nodes
        return self.inner.entropy() + tf.reduce_sum(_log_slope(points) * weights, axis=(-2, -1))


def _log_slope(raw: tf.Tensor) -> tf.Tensor:
    """Returns ``log(1 - tanh(raw)**2)``, without the cancellation that this form has far from 0."""
    return 2.0 * (math.log(2.0) - raw - tf.nn.softplus(-2.0 * raw))


@dataclass(frozen=True, slots=True)
class ActionModel:
    """How a network's output becomes a policy over an action space.

    Attributes:
        outputs: How many numbers the network gives for an observation.
        free: How many further parameters do not depend on the observation: a Gaussian's log standard deviations.
        raw: Shape and dtype of one raw action.
        distribution: From ``[batch, outputs + free]`` to the distribution.
        to_env: From raw actions to the env's actions, each ``[batch, ...]``.
    """

    outputs: int
    free: int
    raw: tf.TensorSpec
    distribution: Callable[[tf.Tensor], Distribution]
    to_env: Callable[[tf.Tensor], tf.Tensor]


def action_model(space: gymnasium.Space[Any], *, bounds: Bounds = "clip", agent: str = "the agent") -> ActionModel:
    """Chooses the policy that fits an action space.

    ``Discrete`` gets a categorical distribution, ``MultiDiscrete`` one a component, ``MultiBinary`` a Bernoulli one
    a bit, ``Box`` a Gaussian. A bounded ``Box`` is mapped from [-1, 1], so that a policy's scale does not depend on
    the env's units; without bounds the raw action is the env's.

    Args:
        space: The action space.
        bounds: How a Gaussian keeps to the bounds.
        agent: Who asks, for the error.

    Raises:
        UsageError: No policy fits: another space, an empty one, a Box of integers, or one to squash into no bounds.
    """
    match space:
        case spaces.Discrete():
            return _discrete(space)
        case spaces.MultiDiscrete() if len(space.nvec.shape) == 1:
            return _multi_discrete(space)
        case spaces.MultiBinary() if len(space.shape) == 1:
            spec = tf.TensorSpec(space.shape, tf.int64)
            return ActionModel(int(space.shape[0]), 0, spec, Bernoulli, lambda raw: tf.cast(raw, tf.int8))
        case spaces.Box() if np.issubdtype(space.dtype, np.floating):
            return _box(space, bounds, agent)
    raise UsageError(
        f"{agent} cannot act in {space}: it takes Discrete, MultiDiscrete, MultiBinary and Box (of floats) actions",
        hint="agents and what they can do: advdl plugins list --kind agent",
    )


def _discrete(space: spaces.Discrete) -> ActionModel:
    start = int(space.start)
    return ActionModel(int(space.n), 0, tf.TensorSpec((), tf.int64), Categorical, lambda raw: raw + start)


def _multi_discrete(space: spaces.MultiDiscrete) -> ActionModel:
    sizes = [int(size) for size in space.nvec]
    start = np.asarray(space.start, np.int64)

    def distribution(outputs: tf.Tensor) -> Distribution:
        return Independent([Categorical(logits) for logits in tf.split(outputs, sizes, axis=-1)])

    return ActionModel(sum(sizes), 0, tf.TensorSpec((len(sizes),), tf.int64), distribution, lambda raw: raw + start)


def _box(space: spaces.Box, bounds: Bounds, agent: str) -> ActionModel:
    size, shape = math.prod(space.shape), space.shape
    bounded = space.is_bounded("both")
    if bounds == "squash" and not bounded:
        raise UsageError(f"{agent} cannot squash actions into {space}: it has no bounds", hint="agent.bounds=clip")
    low, high = space.low.astype(np.float32), space.high.astype(np.float32)
    centre, half = ((high + low) / 2, (high - low) / 2) if bounded else (np.zeros_like(low), np.ones_like(high))

    def distribution(outputs: tf.Tensor) -> Distribution:
        gaussian = Gaussian(*tf.split(outputs, 2, axis=-1))
        return SquashedGaussian(gaussian) if bounds == "squash" else gaussian

    def to_env(raw: tf.Tensor) -> tf.Tensor:
        unit = tf.tanh(raw) if bounds == "squash" else raw
        # Clipped after squashing too: rounding may take centre + half past the bound.
        return tf.clip_by_value(centre + half * tf.reshape(unit, (-1, *shape)), low, high)

    return ActionModel(size, size, tf.TensorSpec((size,), tf.float32), distribution, to_env)
