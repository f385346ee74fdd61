"""What a decoder's outputs say of x: likelihoods, in nats, and draws."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import tensorflow as tf

from advdl.errors import UsageError
from advdl_generative.family import flat_sum
from advdl_generative.scaling import Scaling
from advdl_generative.spaces import Layout

Name = Literal["auto", "bernoulli", "categorical", "gaussian"]

_MOST_LEVELS = 256
_LOG_DEVIATION = (-5.0, 2.0)


class Likelihood(Protocol):
    """``p(x | parameters)``, of independent components.

    Attributes:
        outputs: Numbers a component.
    """

    outputs: int

    def log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Returns ``log p(x)`` in nats, ``[batch]``; x in its own units."""

    def mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """Returns the likeliest or mean x, in its own units and dtype."""

    def draw(self, parameters: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns a draw of x, in its own units and dtype."""


@dataclass(frozen=True)
class Bernoulli:
    """Components that are low or high. Values between count as a probability: then the ELBO is none of a density.

    Attributes:
        scaling: Maps the bounds to -1 and 1.
        layout: What x is.
    """

    scaling: Scaling
    layout: Layout
    outputs: int = 1

    def log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Minus the cross-entropy."""
        share = (self.scaling(x) + 1.0) / 2.0
        return -flat_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=share, logits=parameters))

    def mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """The probability, between the bounds; rounded where x has two values only."""
        return self.scaling.undo(2.0 * tf.sigmoid(parameters) - 1.0)

    def draw(self, parameters: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A draw where x has two values only; grey values are the probability itself, as is usual."""
        if self.layout.levels != 2:
            return self.mean(parameters)
        high = tf.random.stateless_uniform(tf.shape(parameters), seed) < tf.sigmoid(parameters)
        return self.scaling.undo(tf.where(high, 1.0, -1.0))


@dataclass(frozen=True)
class Categorical:
    """A probability for each value that a component can have: the exact likelihood of whole numbers.

    Attributes:
        layout: What x is.
    """

    layout: Layout

    @property
    def outputs(self) -> int:
        """One logit a value."""
        return self.layout.levels

    def log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Minus the cross-entropy."""
        index = tf.cast(tf.round(tf.cast(x, tf.float32) - self.layout.low), tf.int32)
        return -flat_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(index, self._logits(parameters)))

    def mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """The mean over values, rounded."""
        values = tf.range(self.layout.levels, dtype=tf.float32)
        return self._in_units(tf.round(tf.reduce_sum(tf.nn.softmax(self._logits(parameters)) * values, axis=-1)))

    def draw(self, parameters: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A draw, by the Gumbel trick."""
        logits = self._logits(parameters)
        uniform = tf.random.stateless_uniform(tf.shape(logits), seed, 1e-20, 1.0)
        return self._in_units(tf.argmax(logits - tf.math.log(-tf.math.log(uniform)), axis=-1))

    def _logits(self, parameters: tf.Tensor) -> tf.Tensor:
        return tf.reshape(parameters, [-1, *self.layout.shape, self.layout.levels])

    def _in_units(self, index: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.cast(index, tf.float32) + self.layout.low, self.layout.dtype)


@dataclass(frozen=True)
class Gaussian:
    """A mean and a standard deviation a component, of standardised x; the density is that of x in its own units.

    Attributes:
        scaling: Standardises x.
    """

    scaling: Scaling
    outputs: int = 2

    def log_prob(self, parameters: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """The log-density."""
        mean, log_deviation = _split(parameters)
        error = (self.scaling(x) - mean) * tf.exp(-log_deviation)
        density = -0.5 * tf.square(error) - log_deviation - 0.5 * math.log(2.0 * math.pi)
        return flat_sum(density - tf.math.log(tf.convert_to_tensor(self.scaling.stretch)))

    def mean(self, parameters: tf.Tensor) -> tf.Tensor:
        """The mean."""
        return self.scaling.undo(_split(parameters)[0])

    def draw(self, parameters: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A draw."""
        mean, log_deviation = _split(parameters)
        return self.scaling.undo(mean + tf.exp(log_deviation) * tf.random.stateless_normal(tf.shape(mean), seed))


def likelihood_name(name: Name, layout: Layout) -> Name:
    """Resolves ``auto``: Bernoulli for bounded images and for zeros and ones, Gaussian for all else.

    Raises:
        UsageError: The likelihood does not fit the data.
    """
    if name == "auto":
        return "bernoulli" if layout.levels == 2 or (layout.is_image and layout.is_bounded) else "gaussian"
    if name == "bernoulli" and not layout.is_bounded:
        raise UsageError("the likelihood 'bernoulli' needs samples with bounds", hint="take 'gaussian'")
    if name == "categorical" and not 2 <= layout.levels <= _MOST_LEVELS:
        raise UsageError(
            f"the likelihood 'categorical' needs whole numbers of 2 to {_MOST_LEVELS} values, the same for each "
            f"component, not {layout.dtype} from {layout.low.min():g} to {layout.high.max():g}",
            hint="take 'bernoulli' or 'gaussian'",
        )
    return name


def build_likelihood(name: Name, layout: Layout, scaling: Scaling) -> Likelihood:
    """Builds a likelihood by its resolved name."""
    match name:
        case "bernoulli":
            return Bernoulli(scaling, layout)
        case "categorical":
            return Categorical(layout)
    return Gaussian(scaling)


def _split(parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    mean, raw = tf.split(parameters, 2, axis=-1)
    low, high = _LOG_DEVIATION
    return mean, low + (high - low) * tf.sigmoid(raw)
