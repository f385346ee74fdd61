"""Tensor idioms of a 10 x 10 board: comparisons in the place of scatters and gathers, at which XLA is slow."""

from typing import Any

import numpy as np
import tensorflow as tf

SIDE = 10
ROWS = np.arange(SIDE, dtype=np.int32)[:, None]
COLUMNS = np.arange(SIDE, dtype=np.int32)[None, :]


def cell(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """Returns boards that are true in one cell, or nowhere where that is off the board: ``[batch, 10, 10]``."""
    return (row[:, None, None] == ROWS) & (column[:, None, None] == COLUMNS)


def board(column: tf.Tensor, rows: tuple[int, int]) -> tf.Tensor:
    """Returns boards with one true cell in each of some neighbouring rows.

    Args:
        column: Where it is in each row, ``[batch, rows]``; off the board for nowhere.
        rows: The first of the rows, and the one after the last.
    """
    return padded(column[:, :, None] == COLUMNS[0], rows)


def padded(part: tf.Tensor, rows: tuple[int, int]) -> tf.Tensor:
    """Puts some neighbouring rows of a board, ``[batch, rows, 10]``, among empty ones."""
    first, end = rows
    return tf.pad(part, [[0, 0], [first, SIDE - end], [0, 0]])


def crowd(here: tf.Tensor, row: tf.Tensor, column: tf.Tensor, rows: tuple[int, int]) -> tf.Tensor:
    """Marks the cells in which there is at least one of many things.

    A row is one number with five bits a column that count what is there: a tenth of the work of comparing every thing
    with every cell.

    Args:
        here: Which things there are, bool ``[batch, things]``; at most 31.
        row: Their rows, likewise; a row outside of ``rows`` is not marked.
        column: Their columns, likewise; a column off the board is not marked.
        rows: The first row that is marked, and the one after the last.
    """
    on_board = here & (column >= 0) & (column < SIDE)
    place = tf.where(on_board, tf.bitwise.left_shift(tf.constant(1, tf.int64), _bits(column)), 0)
    in_row = row[:, None, :] == np.arange(*rows, dtype=np.int32)[:, None]
    counts = tf.reduce_sum(tf.where(in_row, place[:, None, :], 0), axis=-1)
    fields = tf.bitwise.right_shift(counts[:, :, None], 5 * np.arange(SIDE, dtype=np.int64))
    return tf.bitwise.bitwise_and(fields, 31) > 0


def _bits(column: tf.Tensor) -> tf.Tensor:
    return tf.cast(5 * tf.clip_by_value(column, 0, SIDE - 1), tf.int64)


def tick(timer: tf.Tensor) -> tf.Tensor:
    """Counts down to 0 and stays there."""
    return tf.maximum(timer - 1, 0)


def sign(right: tf.Tensor) -> tf.Tensor:
    """Returns 1 where it goes right and -1 where it goes left."""
    return tf.where(right, 1, -1)


def moved(position: tf.Tensor, less: tf.Tensor, more: tf.Tensor, low: int = 0, high: int = SIDE - 1) -> tf.Tensor:
    """Moves by one cell where a key asks for it, and not beyond the ends."""
    return tf.clip_by_value(position + tf.cast(more, tf.int32) - tf.cast(less, tf.int32), low, high)


def filled(like: tf.Tensor, value: int) -> tf.Tensor:
    """Returns an int32 tensor of the same shape."""
    return tf.fill(tf.shape(like), value)


def number(flag: tf.Tensor) -> tf.Tensor:
    """Returns 1.0 for true and 0.0 for false."""
    return tf.cast(flag, tf.float32)


def any_of(mask: tf.Tensor, *axes: int) -> tf.Tensor:
    """Returns whether any is true along some axes; the last one if none is named."""
    return tf.reduce_any(mask, axis=axes or -1)


def starts(batch_size: Any, value: int | bool) -> tf.Tensor:
    """Returns the same value for every game of a batch."""
    return tf.fill([batch_size], value)
