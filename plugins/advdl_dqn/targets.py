"""What Q-networks are drawn to, as functions of tensors: every equation of the papers in one place."""

import tensorflow as tf

from advdl.training import Batch


def discounts(batch: Batch, gamma: float) -> tf.Tensor:
    """Returns what a value of ``next_observation`` counts in a target: 0 after a termination; truncation bootstraps.

    A replay of several steps says how many there were by ``discount``.

    Returns:
        float32 ``[batch]``.
    """
    kept = batch["discount"] if "discount" in batch else tf.fill(tf.shape(batch["reward"]), gamma)
    return tf.where(batch["terminated"], 0.0, kept)


def moved(reward: tf.Tensor, discount: tf.Tensor, returns: tf.Tensor) -> tf.Tensor:
    """Applies Bellman's operator: ``r + discount * returns``.

    Args:
        reward: ``[batch]``.
        discount: ``[batch]``.
        returns: ``[batch, width]`` or ``[width]``: returns from the next observation on.

    Returns:
        float32 ``[batch, width]``.
    """
    return reward[:, None] + discount[:, None] * returns


def project(support: tf.Tensor, atoms: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Puts probabilities of any atoms onto evenly spaced ones (Bellemare et al. 2017, arXiv:1707.06887, equation 7).

    Each atom's probability is shared by its two neighbours in the support, in proportion to how near it lies.

    Args:
        support: Evenly spaced and rising, ``[width]``.
        atoms: Where the probabilities are, ``[batch, width]``; beyond the support's ends they count as at the ends.
        probabilities: ``[batch, width]``.

    Returns:
        Probabilities of the support's atoms, float32 ``[batch, width]``.
    """
    spacing = support[1] - support[0]
    inside = tf.clip_by_value(atoms, support[0], support[-1])
    distance = tf.abs(inside[:, None, :] - support[:, None]) / spacing
    return tf.reduce_sum(tf.nn.relu(1.0 - distance) * probabilities[:, None, :], axis=-1)


def quantile_huber(quantiles: tf.Tensor, targets: tf.Tensor, kappa: float) -> tf.Tensor:
    """Returns the quantile Huber loss (Dabney et al. 2018, arXiv:1710.10044, equation 10).

    Args:
        quantiles: Estimates at the midpoints of as many equal shares, ``[batch, width]``.
        targets: Samples, each as likely, ``[batch, width]``.
        kappa: Where the square turns into a line.

    Returns:
        Summed over the quantiles and averaged over the targets, float32 ``[batch]``.
    """
    count = quantiles.shape[-1]
    midpoints = (tf.range(count, dtype=tf.float32) + 0.5) / count
    error = targets[:, None, :] - quantiles[:, :, None]
    size = tf.abs(error)
    huber = tf.where(size <= kappa, 0.5 * tf.square(error), kappa * (size - 0.5 * kappa)) / kappa
    tilt = tf.abs(midpoints[:, None] - tf.cast(error < 0.0, tf.float32))
    return tf.reduce_sum(tf.reduce_mean(tilt * huber, axis=-1), axis=-1)


def overestimation(values: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """Returns how far a soft maximum over all actions is above the action that was taken.

    The regulariser of conservative Q-learning (Kumar et al. 2020, arXiv:2006.04779, equation 4): it has no target.

    Args:
        values: ``[batch, actions]``.
        action: What was taken, from 0 on, ``[batch]``.

    Returns:
        Above 0, float32 ``[batch]``.
    """
    return tf.reduce_logsumexp(values, axis=-1) - tf.gather(values, action, batch_dims=1)
