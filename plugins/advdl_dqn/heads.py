"""Heads: what a Q-network's numbers mean, and how they are compared with a target."""

from typing import Protocol

import keras
import tensorflow as tf

from advdl.errors import UsageError
from advdl.plugin import Factory
from advdl_dqn.options import Distributional
from advdl_dqn.targets import moved, project, quantile_huber


class Head(Protocol):
    """Reads ``width`` numbers an action."""

    width: int

    def values(self, numbers: tf.Tensor) -> tf.Tensor:
        """Returns expected returns: ``[..., width] -> [...]``."""

    def losses(self, taken: tf.Tensor, following: tf.Tensor, reward: tf.Tensor, discount: tf.Tensor) -> tf.Tensor:
        """Returns a loss a sample, ``[batch]``.

        Args:
            taken: The online network's numbers of the actions taken, ``[batch, width]``.
            following: The target network's numbers of the best next actions, ``[batch, width]``.
            reward: ``[batch]``.
            discount: What ``following`` counts, ``[batch]``.
        """

    def priorities(self, losses: tf.Tensor, error: tf.Tensor) -> tf.Tensor:
        """Returns what a prioritized replay goes by, ``[batch]``, from losses and from errors of expectations."""


class Scalar:
    """One number: the expected return.

    Args:
        loss: Compares it with its target.
    """

    width = 1

    def __init__(self, loss: keras.losses.Loss) -> None:
        self._loss = loss

    def values(self, numbers: tf.Tensor) -> tf.Tensor:
        """Returns the number."""
        return numbers[..., 0]

    def losses(self, taken: tf.Tensor, following: tf.Tensor, reward: tf.Tensor, discount: tf.Tensor) -> tf.Tensor:
        """Compares with ``r + discount * Q(s', a')``."""
        losses: tf.Tensor = self._loss.call(moved(reward, discount, following), taken)
        return losses

    def priorities(self, losses: tf.Tensor, error: tf.Tensor) -> tf.Tensor:
        """Goes by the error, as the paper does (Schaul et al. 2016)."""
        return error


class Categorical:
    """C51: logits of evenly spaced returns (Bellemare et al. 2017, arXiv:1707.06887).

    Args:
        width: How many returns.
        low: The lowest.
        high: The highest.
    """

    def __init__(self, width: int, low: float, high: float) -> None:
        self.width = width
        self._support = tf.linspace(low, high, width)

    def values(self, numbers: tf.Tensor) -> tf.Tensor:
        """Returns the expectation."""
        return tf.reduce_sum(tf.nn.softmax(numbers) * self._support, axis=-1)

    def losses(self, taken: tf.Tensor, following: tf.Tensor, reward: tf.Tensor, discount: tf.Tensor) -> tf.Tensor:
        """Returns the cross-entropy to the projected target."""
        target = project(self._support, moved(reward, discount, self._support), tf.nn.softmax(following))
        return -tf.reduce_sum(target * tf.nn.log_softmax(taken), axis=-1)

    def priorities(self, losses: tf.Tensor, error: tf.Tensor) -> tf.Tensor:
        """Goes by the loss: a wrong distribution may have the right mean (Hessel et al. 2018)."""
        return losses


class Quantiles:
    """QR-DQN: quantiles of the return (Dabney et al. 2018, arXiv:1710.10044).

    Args:
        width: How many quantiles.
    """

    def __init__(self, width: int) -> None:
        self.width = width

    def values(self, numbers: tf.Tensor) -> tf.Tensor:
        """Returns the mean of the quantiles."""
        return tf.reduce_mean(numbers, axis=-1)

    def losses(self, taken: tf.Tensor, following: tf.Tensor, reward: tf.Tensor, discount: tf.Tensor) -> tf.Tensor:
        """Returns the quantile Huber loss with kappa 1."""
        return quantile_huber(taken, moved(reward, discount, following), 1.0)

    def priorities(self, losses: tf.Tensor, error: tf.Tensor) -> tf.Tensor:
        """Goes by the loss, like c51."""
        return losses


def head_of(kind: Distributional, loss: Factory, *, atoms: int, low: float, high: float) -> Head:
    """Builds the head that an agent's options ask for.

    Raises:
        UsageError: The returns of c51 do not rise.
    """
    if kind == "none":
        return Scalar(loss())
    if kind == "qr":
        return Quantiles(atoms)
    if low >= high or atoms < 2:
        raise UsageError(
            f"c51 needs two returns or more, from agent.lowest_return to a higher agent.highest_return, "
            f"not {atoms} from {low:g} to {high:g}"
        )
    return Categorical(atoms, low, high)
