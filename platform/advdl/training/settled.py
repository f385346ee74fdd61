"""Computes a part of a program once, where XLA would compute it again for whatever uses it."""

from collections.abc import Callable

import tensorflow as tf

from advdl.training.learner import Batch


def settled(make: Callable[[], Batch], number: tf.Tensor) -> Batch:
    """Returns ``make()``, computed once; traceable.

    XLA fuses what looks cheap into every consumer: the sine that makes a target of ``[25, 10]`` would be computed for
    each of the ``[25, 10, 40]`` elements of a layer, in half a dozen places. It does not fuse across a loop, and this
    one is gone through once.

    Args:
        make: Makes tensors of static shapes.
        number: 0 or more, such as the update's number. The loop's condition depends on it, since XLA takes a loop away
            whose end it can foresee.
    """
    found = tf.function(make, autograph=False).get_concrete_function().structured_outputs
    empty = tf.nest.map_structure(lambda value: tf.zeros(value.shape, value.dtype), found)
    _, batch = tf.while_loop(
        lambda due, _: due,
        lambda *_: (tf.constant(False), make()),
        (tf.convert_to_tensor(number) >= 0, empty),
        parallel_iterations=1,
    )
    made: Batch = batch
    return made
