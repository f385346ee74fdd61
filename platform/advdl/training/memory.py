"""What a process does with memory that it has used: it keeps it, instead of asking for it anew a moment later."""

import contextlib
import ctypes
import sys

# mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_EVERYTHING = 2**31 - 1


def keep_memory() -> bool:
    """Has the C library keep freed memory for the next who asks, up to 2 GB; says whether it will.

    A compiled program asks for its intermediate results in one piece, at every call. The C library gets a large piece
    from the kernel and gives it back, so that every page of it is made, cleared and mapped anew: a third of the time of
    a convolutional network's update. Pieces of other threads than the first are given back whatever the threshold, but
    where there is one arena for all.
    """
    if sys.platform != "linux":
        return False
    with contextlib.suppress(AttributeError):  # another C library than GNU's
        options = (_MMAP_THRESHOLD, _EVERYTHING), (_TRIM_THRESHOLD, _EVERYTHING), (_ARENA_MAX, 1)
        mallopt = ctypes.CDLL(None).mallopt
        taken = [mallopt(*option) for option in options]  # each of them, whatever became of the one before
        return all(taken)
    return False
