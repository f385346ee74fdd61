"""idx files: the format of MNIST and of the data sets that are made like it."""

import gzip
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from advdl.errors import CorruptError, UsageError
from advdl.training import Data, Dataset, DataSpec
from advdl.training.dataset import image_space

_UNSIGNED_BYTE = 0x08
_HINT = "apt-get install dataset-fashion-mnist brings some to /usr/share/datasets/fashion-mnist"


class Idx(Data):
    """Images and labels of idx files (LeCun et al. 1998), gzipped or not.

    Args:
        path: The folder of ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the like.
        part: ``train`` or ``t10k``.
    """

    def __init__(
        self, *, path: str = "/usr/share/datasets/fashion-mnist", part: Literal["train", "t10k"] = "train"
    ) -> None:
        self._folder, self._part = Path(path), part

    def load(self) -> Dataset:
        """Reads images and labels."""
        images = self._read(f"{self._part}-images-idx3-ubyte", 3)[..., None]
        labels = self._read(f"{self._part}-labels-idx1-ubyte", 1).astype(np.int64)
        if len(images) != len(labels):
            raise CorruptError(f"{self._folder}: there are {len(images)} images and {len(labels)} labels", hint=_HINT)
        count = int(labels.max()) + 1
        spec = DataSpec(image_space(images), spaces.Discrete(count))
        return Dataset(images, labels, spec, tuple(map(str, range(count))))

    def _read(self, name: str, rank: int) -> NDArray[Any]:
        plain, packed = self._folder / name, self._folder / f"{name}.gz"
        try:
            content = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
        except FileNotFoundError as error:
            raise UsageError(f"there is no file {plain}, nor {packed.name} beside it", hint=_HINT) from error
        except (OSError, EOFError) as error:
            raise CorruptError(f"{packed} cannot be read: {error}", hint=_HINT) from error
        return parse_idx(content, rank, plain)


def parse_idx(content: bytes, rank: int, path: Path) -> NDArray[np.uint8]:
    """Returns the array of unsigned bytes that an idx file holds.

    Raises:
        CorruptError: It holds something else, or its length is not what its header says.
    """
    start = 4 + 4 * rank
    if content[:4] != bytes((0, 0, _UNSIGNED_BYTE, rank)) or len(content) < start:
        raise CorruptError(f"{path} is no idx file of unsigned bytes in {rank} dimensions", hint=_HINT)
    shape = tuple(np.frombuffer(content, ">u4", rank, 4).astype(int).tolist())
    if len(content) - start != math.prod(shape):
        raise CorruptError(f"{path} is {len(content) - start} bytes long where {list(shape)} is promised", hint=_HINT)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
