"""A .npz file of arrays."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from advdl.errors import CorruptError, UsageError
from advdl.training import Data, Dataset, DataSpec
from advdl.training.dataset import checked


class Npz(Data):
    """Arrays ``x`` (samples, ``[count, ...]``) and, where there is one, ``c`` (classes or vectors) of a ``.npz`` file.

    Whole numbers in a flat ``c`` are classes, from 0 on; anything else is a vector. Images ``[height, width]`` get a
    channel. A float64 array becomes float32.

    Args:
        path: The file, as ``numpy.savez`` writes it.
        low: The least value that a number of ``x`` can have; the least in the file when left out.
        high: The greatest value; the greatest in the file when left out. Both are those of each component then.
    """

    def __init__(self, *, path: str, low: float | None = None, high: float | None = None) -> None:
        self._path, self._range = Path(path), (low, high)
        if low is not None and high is not None and low >= high:
            raise UsageError(f"the range of 'x' cannot be from {low:g} to {high:g}", hint="data.low is the lesser one")

    def load(self) -> Dataset:
        """Reads the arrays; pickled ones are refused, and numbers outside of the stated range."""
        return checked(self._dataset())

    def _dataset(self) -> Dataset:
        arrays = self._arrays()
        if "x" not in arrays:
            raise UsageError(f"{self._path} has no array 'x'; it has {', '.join(arrays) or 'none'}", hint=_HINT)
        x, c = _samples(arrays["x"], self._path), arrays.get("c")
        if c is not None and (c.ndim == 0 or len(c) != len(x)):
            raise UsageError(f"{self._path}: {len(x)} samples 'x' do not go with 'c' {list(c.shape)}", hint=_HINT)
        if c is None:
            return Dataset(x, None, DataSpec(self._space(x)))
        if c.ndim == 1 and np.issubdtype(c.dtype, np.integer):
            return _classes(x, c.astype(np.int64), self._space(x), self._path)
        c = _floats(c.reshape(len(c), -1), self._path)
        return Dataset(x, c, DataSpec(self._space(x), _space(c)))

    def _space(self, x: NDArray[Any]) -> spaces.Box:
        """Returns the space of samples, of the range that was stated."""
        seen = _space(x)
        whole = seen.dtype.kind == "u"
        for value in self._range:
            if whole and value is not None and not (value.is_integer() and 0 <= value <= 255):
                raise UsageError(f"{self._path}: 'x' has bytes, and none can be {value:g}", hint="data.low, data.high")
        ends = zip(self._range, (seen.low, seen.high), strict=True)
        low, high = (end if value is None else value for value, end in ends)
        return spaces.Box(low, high, seen.shape, seen.dtype.type)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        try:
            with self._path.open("rb") as content:  # numpy.load leaves a damaged file open
                file = np.load(content, allow_pickle=False)
                if isinstance(file, np.ndarray):
                    raise UsageError(f"{self._path} is one array, not a .npz file", hint=_HINT)
                return {name: file[name] for name in file.files}
        except FileNotFoundError as error:
            raise UsageError(f"there is no file {self._path}", hint=_HINT) from error
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise CorruptError(f"{self._path} cannot be read: {error}", hint=_HINT) from error


_HINT = "numpy.savez('file.npz', x=samples, c=classes) writes one"


def _samples(x: NDArray[Any], path: Path) -> NDArray[Any]:
    if x.ndim < 2 or not len(x):
        raise UsageError(f"{path}: 'x' must be [count, ...] with at least one sample, not {list(x.shape)}", hint=_HINT)
    if x.dtype == np.uint8:
        return x[..., None] if x.ndim == 3 else x
    return _floats(x, path)


def _floats(values: NDArray[Any], path: Path) -> NDArray[Any]:
    if not (np.issubdtype(values.dtype, np.floating) or np.issubdtype(values.dtype, np.integer)):
        raise UsageError(f"{path}: an array of {values.dtype} holds no numbers", hint=_HINT)
    floats = values.astype(np.float32)
    if not np.isfinite(floats).all():
        raise UsageError(f"{path}: an array holds a NaN or an infinity", hint=_HINT)
    return floats


def _classes(x: NDArray[Any], c: NDArray[np.int64], space: spaces.Box, path: Path) -> Dataset:
    if c.min() < 0:
        raise UsageError(f"{path}: classes in 'c' count from 0, and one is {c.min()}", hint=_HINT)
    count = int(c.max()) + 1
    return Dataset(x, c, DataSpec(space, spaces.Discrete(count)), tuple(map(str, range(count))))


def _space(values: NDArray[Any]) -> spaces.Box:
    if values.dtype == np.uint8:
        return spaces.Box(0, 255, values.shape[1:], np.uint8)
    low, high = values.min(axis=0), values.max(axis=0)
    return spaces.Box(low, high, values.shape[1:], np.float32)
