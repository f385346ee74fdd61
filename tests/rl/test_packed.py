"""Packed carries arrays of any dtype into a program, small ones in one piece."""

import numpy as np
import pytest
import tensorflow as tf

from advdl.rl.packed import Packed

KINDS = [
    ((3, 2), np.dtype(np.float32)),
    ((3,), np.dtype(np.bool_)),
    ((5,), np.dtype(np.uint8)),
    ((2, 2), np.dtype(np.int64)),
    ((700, 700, 4), np.dtype(np.uint8)),
    ((3,), np.dtype(np.float64)),
]


@pytest.mark.parametrize("jit", [False, True])
def test_a_program_reads_what_was_written(jit):
    packed = Packed(KINDS)
    generator = np.random.default_rng(0)
    for array in packed.arrays:
        array[...] = generator.integers(0, 2 if array.dtype == np.bool_ else 100, array.shape)
    program = tf.function(lambda *tensors: packed.unpacked(tensors), jit_compile=jit, autograph=False)
    tensors = packed.tensors()
    assert [(t.shape, t.dtype) for t in tensors] == [(s.shape, s.dtype) for s in packed.specs]
    for array, read in zip(packed.arrays, program(*tensors), strict=True):
        np.testing.assert_array_equal(read.numpy(), array)


def test_tensors_keep_what_was_written_before():
    packed = Packed([((2,), np.dtype(np.float32))])
    tensors = packed.tensors()
    packed.arrays[0][:] = 1.0
    np.testing.assert_array_equal(packed.unpacked(tensors)[0].numpy(), [0.0, 0.0])
