"""Huge pages for large arrays that are read at random: a replay's rows lie all over hundreds of megabytes."""

import ctypes
import sys

import numpy as np
import tensorflow as tf

# Below this the processor's second-level translation buffer holds about every small page.
_LARGE = 16 * 2**20
_HUGE = 2 * 2**20
_COLLAPSE = 25  # MADV_COLLAPSE, since Linux 6.1


def prefer_huge_pages(variable: tf.Variable) -> bool:
    """Asks the kernel to put a large variable's memory into huge pages; says whether it did.

    A row that is drawn at random costs a miss of the translation buffer beside that of the cache; with pages of 2 MB
    instead of 4 KB it does not. Where the kernel cannot, nothing is lost but that.

    Args:
        variable: A variable on a CPU; its memory must stay where it is, as a replay's does, which is written in place.
    """
    size = variable.dtype.size * variable.shape.num_elements()
    if size < _LARGE or sys.platform != "linux" or "CPU" not in variable.device:
        return False
    memory = np.asarray(memoryview(variable.read_value()))
    begin = -(-memory.ctypes.data // _HUGE) * _HUGE
    end = (memory.ctypes.data + size) // _HUGE * _HUGE
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return bool(advise(begin, end - begin, _COLLAPSE) == 0)
