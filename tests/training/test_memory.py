"""What keeping memory is for: a compiled program's large piece is not made anew by the kernel at every call."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, sys
from advdl.training.memory import keep_memory

def faults_of_a_piece():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    size = 200 << 20
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    library.free.argtypes = (ctypes.c_void_p,)
    piece = library.malloc(size)
    ctypes.memset(piece, 1, size)
    library.free(piece)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    assert keep_memory()
faults_of_a_piece()
print(faults_of_a_piece())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only GNU's C library can be told")
@pytest.mark.parametrize(("word", "anew"), [("keep", False), ("leave", True)])
def test_a_large_piece_is_kept_for_the_next_call(word, anew):
    done = subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, timeout=60, check=True)
    assert (int(done.stdout) > 50) is anew
