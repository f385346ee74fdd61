"""What is computed once is the same, eagerly, traced and compiled, and XLA keeps the loop that holds it apart."""

import numpy as np
import pytest
import tensorflow as tf

from advdl.training.settled import settled


def batch(number: tf.Tensor) -> dict[str, dict[str, tf.Tensor]]:
    x = tf.sin(tf.cast(number, tf.float32) + tf.range(3, dtype=tf.float32))
    return {"support": {"x": x, "c": tf.range(3, dtype=tf.int64)}}


@pytest.mark.parametrize("number", [0, 5])
def test_it_is_the_same_batch(number: int) -> None:
    at = tf.constant(number, tf.int64)
    kept = tf.function(lambda at: settled(lambda: batch(at), at), autograph=False)
    for found in (settled(lambda: batch(at), at), kept(at)):
        tf.nest.map_structure(np.testing.assert_array_equal, found, batch(at))
        assert found["support"]["c"].dtype == tf.int64


def test_xla_keeps_it_apart() -> None:
    at = tf.constant(4, tf.int64)
    kept = tf.function(lambda at: settled(lambda: batch(at), at), autograph=False, jit_compile=True)
    np.testing.assert_allclose(kept(at)["support"]["x"], batch(at)["support"]["x"], rtol=1e-5)
    assert " while(" in kept.experimental_get_compiler_ir(at)(stage="optimized_hlo")
