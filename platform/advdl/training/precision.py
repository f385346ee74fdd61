"""Precision: which Keras dtype policy a run's models are built with, and the scaling of losses that float16 needs."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import tensorflow as tf

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
"""What a model can be built with; variables, heads, losses and gradients are float32 with each of them."""

# The first NVIDIA processors with units for the format, by compute capability.
_BFLOAT16_SINCE, _FLOAT16_SINCE = (8, 0), (7, 0)


@dataclass(frozen=True, slots=True)
class Precision:
    """A policy, and why it was taken.

    Attributes:
        policy: One of ``POLICIES``.
        reason: In words, for ``auto``; else empty.
    """

    policy: str
    reason: str = ""

    @property
    def scales_loss(self) -> bool:
        """Whether gradients would fall below the smallest number of the format without a scaled loss."""
        return self.policy == "mixed_float16"


def precision_of(name: str) -> Precision:
    """Resolves ``auto`` by the devices that are there; any other name is the policy itself.

    On processors without units for a half-size format the mixed policies are correct and no faster, so ``auto`` takes
    float32 there.
    """
    if name != "auto":
        return Precision(name)
    if tf.config.list_physical_devices("TPU"):
        return Precision("mixed_bfloat16", "mixed_bfloat16 on a TPU")
    graphics = tf.config.list_physical_devices("GPU")
    if not graphics:
        return Precision("float32", "float32, since mixed precision is no faster on a CPU")
    details = [tf.config.experimental.get_device_details(device) for device in graphics]
    oldest = min(detail.get("compute_capability", (0, 0)) for detail in details)
    policy = (
        "mixed_bfloat16" if oldest >= _BFLOAT16_SINCE else "mixed_float16" if oldest >= _FLOAT16_SINCE else "float32"
    )
    return Precision(policy, f"{policy} on {details[0].get('device_name', 'this GPU')}")


@contextlib.contextmanager
def built_with(precision: Precision) -> Iterator[None]:
    """Makes a policy Keras' default for the layers that are created inside; the one before it comes back after."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision.policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
