"""What starting TensorFlow imports, in a process of its own."""

import subprocess
import sys

PROGRAM = """
import gc, sys
from advdl.training.backend import start_tensorflow
start_tensorflow()
unwanted = sorted({"sklearn", "matplotlib", "jax"} & set(sys.modules))
assert not unwanted, unwanted
assert gc.isenabled()
import sklearn.base, matplotlib.figure
import tensorflow, keras
print(keras.backend.backend())
"""


def test_tensorflow_starts_without_what_is_not_needed_and_leaves_it_importable():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tensorflow\n"
    assert not done.stderr
