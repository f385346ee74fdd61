"""The formats that a policy of advdl's own agents is exported as; imports no TensorFlow."""

from collections.abc import Mapping

SUFFIXES: Mapping[str, str] = {"onnx": ".onnx", "savedmodel": "", "litert": ".tflite"}
"""What a file of each format ends in; a SavedModel is a folder."""
