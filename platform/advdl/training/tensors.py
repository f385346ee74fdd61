"""What a saved tensor is, and how a saved state is compared with a live one. Imports no TensorFlow."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorFact:
    """A tensor's shape and the name of its dtype."""

    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, tensor: Any) -> "TensorFact":
        """Describes a tensor of TensorFlow's or an array of NumPy's."""
        return cls(tuple(tensor.shape), dtype_name(tensor))

    @property
    def size(self) -> int:
        """The tensor's size in bytes."""
        bits = re.search(r"\d+", self.dtype)
        return math.prod(self.shape) * (max(1, int(bits[0]) // 8) if bits else int(self.dtype == "bool"))

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def dtype_name(value: Any) -> str:
    """Returns the name of a tensor's, a variable's or an array's dtype."""
    dtype = value.dtype
    return str(dtype.name) if hasattr(dtype, "name") else np.dtype(dtype).name


def differences(live: Mapping[str, Any], saved: Mapping[str, TensorFact], *, partial: bool) -> list[str]:
    """Says, tensor by tensor, why a saved state does not fit the live one; nothing if it fits.

    Args:
        live: The live values: anything with a shape and a dtype.
        saved: What was saved.
        partial: Whether ``saved`` may hold more than ``live``.
    """
    extra = [] if partial else [name for name in saved if name not in live]
    lacking = [name for name in live if name not in saved]
    unlike = [
        f"{name!r} is {saved[name]} in it and {dtype_name(value)} {list(value.shape)} here"
        for name, value in live.items()
        if name in saved and not _fits(value, saved[name])
    ]
    return (
        unlike
        + [f"it has no {name!r}" for name in lacking]
        + [f"it has {name!r}, which this run has not" for name in extra]
    )


def _fits(value: Any, fact: TensorFact) -> bool:
    """A variable of TensorFlow's may leave its rank, or the size of an axis, open."""
    if dtype_name(value) != fact.dtype:
        return False
    rank = value.shape.rank if hasattr(value.shape, "rank") else len(value.shape)
    if rank is None:
        return True
    return rank == len(fact.shape) and all(
        size in (None, saved) for size, saved in zip(value.shape, fact.shape, strict=True)
    )
