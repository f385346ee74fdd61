"""Labelled images: from a folder or a zip with a folder for each class, or scikit-learn's digits."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advdl.errors import CorruptError, UsageError

DIGITS = "digits"

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})

Images = NDArray[np.uint8]
"""``[count, size, size, 1]``."""


def load_classes(data: str, size: int) -> dict[str, Images]:
    """Loads grey images by class.

    A class is a folder that holds images; it is named by its last two folders, as in ``Greek/character01``.

    Args:
        data: ``"digits"`` (scikit-learn's, 8 by 8), or the path of a folder or a zip file.
        size: Images are scaled to this height and width; 0 leaves digits at 8 and takes other images' own size.

    Raises:
        UsageError: There is no such folder or file, or it holds no images.
        CorruptError: An image cannot be read.
    """
    if data == DIGITS:
        return _digits(size)
    files = dict(_files(Path(data)))
    if not files:
        raise UsageError(f"{data!r} holds no images", hint="a class is a folder of images: letters/alpha/01.png")
    classes: dict[str, list[Images]] = {}
    for name, content in files.items():
        classes.setdefault("/".join(PurePosixPath(name).parts[-3:-1]), []).append(_image(name, content, size))
    return {name: _stacked(name, images) for name, images in sorted(classes.items())}


def rotated(classes: Mapping[str, Images]) -> dict[str, Images]:
    """Makes four classes of each: turned by 0, 90, 180 and 270 degrees."""
    turns = ((name, images, turn) for name, images in classes.items() for turn in range(4))
    return {f"{name}@{90 * turn}": np.rot90(images, turn, axes=(1, 2)).copy() for name, images, turn in turns}


def _digits(size: int) -> dict[str, Images]:
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = np.round(loaded.images * (255 / 16)).astype(np.uint8)
    if size not in (0, 8):
        images = np.stack([_scaled(image, size) for image in images])
    return {str(digit): images[loaded.target == digit][..., None] for digit in range(10)}


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in _SUFFIXES:
                yield file.relative_to(path.parent).as_posix(), file.read_bytes()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if PurePosixPath(name).suffix.lower() in _SUFFIXES:
                    yield name, archive.read(name)
    else:
        raise UsageError(f"{str(path)!r} is neither a folder nor a zip file", hint="tasks.data=digits needs no files")


def _image(name: str, content: bytes, size: int) -> Images:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError) as error:
        raise CorruptError(f"the image {name!r} cannot be read: {error}") from error
    return _scaled(pixels, size) if size else pixels


def _scaled(pixels: NDArray[Any], size: int) -> Images:
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))


def _stacked(name: str, images: list[Images]) -> Images:
    if len({image.shape for image in images}) > 1:
        raise UsageError(f"the images of class {name!r} differ in size", hint="tasks.size=28 scales them all")
    return np.stack(images)[..., None]
