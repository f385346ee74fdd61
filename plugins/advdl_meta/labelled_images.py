"""Labelled images by class, out of any data set that has them."""

from collections.abc import Mapping
from pathlib import PurePosixPath

import gymnasium
import numpy as np
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.training import Dataset

Images = NDArray[np.uint8]
"""``[count, height, width, channels]``."""


def classes_of(data: Dataset) -> dict[str, Images]:
    """Takes a data set apart by class.

    Raises:
        UsageError: Its samples are no images, or have no classes.
    """
    if data.c is None or not isinstance(data.spec.c, gymnasium.spaces.Discrete):
        raise UsageError("few-shot tasks need data with classes, and these have none", hint="advdl plugins list")
    if data.x.ndim != 4 or data.x.dtype != np.uint8:
        raise UsageError(
            f"few-shot tasks need images, uint8 [height, width, channels], and these data are {data.spec.x}",
            hint="tasks.data.name=folder reads a folder or a zip file of images",
        )
    names = data.names or tuple(map(str, range(int(data.spec.c.n))))
    groups = ((name, data.x[data.c == index]) for index, name in enumerate(names))
    return {name: images for name, images in groups if len(images)}


def without(classes: Mapping[str, Images], known: Mapping[str, Images]) -> dict[str, Images]:
    """Leaves out classes that are known, wherever their folders lie: names are equal in their last two folders."""
    ends = {_end(name) for name in known}
    return {name: images for name, images in classes.items() if _end(name) not in ends}


def rotated(classes: Mapping[str, Images]) -> dict[str, Images]:
    """Makes four classes of each: turned by 0, 90, 180 and 270 degrees."""
    turns = ((name, images, turn) for name, images in classes.items() for turn in range(4))
    return {f"{name}@{90 * turn}": np.rot90(images, turn, axes=(1, 2)).copy() for name, images, turn in turns}


def _end(name: str) -> str:
    return "/".join(PurePosixPath(name).parts[-2:])
