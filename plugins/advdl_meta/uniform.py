"""Params of tasks, each uniform in its range and independent of the others."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from advdl.errors import UsageError
from advdl.training import fold

Range = tuple[float, float]


def draw_uniform(
    ranges: Mapping[str, Range], mirrored: Sequence[str], seed: tf.Tensor, count: int
) -> dict[str, tf.Tensor]:
    """Draws params, each ``[count]``; those that are mirrored are negative in one task of two."""
    draws = tf.random.stateless_uniform([max(len(ranges), 1), count], seed, alg="philox")
    values = {name: low + (high - low) * draws[index] for index, (name, (low, high)) in enumerate(ranges.items())}
    for index, name in enumerate(mirrored):
        coin = tf.random.stateless_uniform([count], fold(seed, 1 + index), alg="philox")
        values[name] *= tf.where(coin < 0.5, 1.0, -1.0)
    return values


def known_mirrored(names: Sequence[str], ranges: Mapping[str, Range]) -> tuple[str, ...]:
    """Checks that every mirrored param has a range."""
    for name in names:
        if name not in ranges:
            raise UsageError(
                f"tasks.mirrored cannot have {name!r}: it has no range in tasks.ranges ({', '.join(ranges)})",
                hint="such as --set 'tasks.mirrored=[\"force_mag\"]'; [] mirrors nothing",
            )
    return tuple(names)
