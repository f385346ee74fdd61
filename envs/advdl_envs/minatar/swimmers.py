"""A few things that move along rows, newest first."""

from typing import Any, NamedTuple

import tensorflow as tf

from advdl_envs.minatar.grid import SIDE, sign

NOWHERE = -9


class Swimmers(NamedTuple):
    """Things in slots, the newest in the first; each ``[batch, n]``.

    Attributes:
        x: Column, int32; -9 where the slot is empty.
        y: Row, int32.
        right: Whether it moves to the right, bool.
        wait: Steps until it moves, int32.
    """

    x: Any
    y: Any
    right: Any
    wait: Any

    @property
    def here(self) -> tf.Tensor:
        """Which slots are in use, bool ``[batch, n]``."""
        return self.x != NOWHERE

    def without(self, gone: tf.Tensor) -> "Swimmers":
        """Empties slots."""
        return self._replace(x=tf.where(gone, NOWHERE, self.x))

    def only(self, which: tf.Tensor) -> "Swimmers":
        """Empties the other slots."""
        return self.without(~which)


def nobody(batch_size: Any, count: int) -> Swimmers:
    """Returns empty slots."""
    zeros = tf.zeros([batch_size, count], tf.int32)
    return Swimmers(zeros + NOWHERE, zeros, zeros > 0, zeros)


def alone(*, x: tf.Tensor, y: tf.Tensor, right: tf.Tensor, wait: tf.Tensor) -> Swimmers:
    """Returns one swimmer a game, from ``[batch]`` to ``[batch, 1]``."""
    return Swimmers(*(part[:, None] for part in (x, y, right, wait)))


def with_new(slots: Any, new: Any, comes: tf.Tensor) -> Any:
    """Puts a new one into the first slot and moves the others up, where ``comes``; the last slot must be empty there.

    Args:
        slots: A nest of ``[batch, n]``.
        new: The same nest of ``[batch, 1]``.
        comes: Bool ``[batch]``.
    """

    def shift(old: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
        return tf.where(comes[:, None], tf.concat([first, old[:, :-1]], axis=-1), old)

    return tf.nest.map_structure(shift, slots, new)


def driven(swimmers: Swimmers, which: tf.Tensor) -> Swimmers:
    """Moves some by one cell; those that leave the board are gone."""
    x = swimmers.x + sign(swimmers.right)
    stays = swimmers.here & (x >= 0) & (x < SIDE)
    return swimmers._replace(x=tf.where(which, tf.where(stays, x, NOWHERE), swimmers.x))


def at(some: Swimmers, others: Swimmers) -> tf.Tensor:
    """Says which of some are in the same cell as which others: bool ``[batch, some, others]``."""
    same = (some.x[:, :, None] == others.x[:, None, :]) & (some.y[:, :, None] == others.y[:, None, :])
    return same & some.here[:, :, None]
