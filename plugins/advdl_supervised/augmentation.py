"""Augmentation of image batches: random moves and mirror images, as functions of a stateless seed."""

import tensorflow as tf

from advdl.training import fold


def augmented(images: tf.Tensor, seed: tf.Tensor, *, shift: int, flip: bool) -> tf.Tensor:
    """Moves and mirrors each image by itself; traceable.

    Args:
        images: ``[batch, height, width, channels]``.
        seed: Stateless seed, int32 of shape [2].
        shift: Pixels that an image may move, each way; edges are repeated (Kostrikov et al. 2020, arXiv:2004.13649).
        flip: Whether images are mirrored, left to right, half of the time.
    """
    if flip:
        mirrored = tf.random.stateless_uniform([tf.shape(images)[0]], fold(seed, 1)) < 0.5
        images = tf.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    if not shift:
        return images
    _, height, width, _ = images.shape
    moves = tf.random.stateless_uniform([2, tf.shape(images)[0]], fold(seed, 2), -shift, shift + 1, tf.int32)
    rows = tf.clip_by_value(tf.range(height)[None] + moves[0][:, None], 0, height - 1)
    columns = tf.clip_by_value(tf.range(width)[None] + moves[1][:, None], 0, width - 1)
    moved = tf.gather(images, rows, axis=1, batch_dims=1)
    return tf.gather(moved, columns, axis=2, batch_dims=1)
