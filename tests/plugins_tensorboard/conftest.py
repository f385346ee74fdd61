import sys
import types

# TensorBoard then reads event files with its own stub and does not import TensorFlow.
sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
