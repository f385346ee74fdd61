"""Images in a folder or a zip file, a folder for each class."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge
from gymnasium import spaces
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from advdl.errors import CorruptError, UsageError
from advdl.training import Data, Dataset, DataSpec
from advdl.training.dataset import image_space

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
_HINT = "a class is a folder of images: letters/alpha/01.png"


class Folder(Data):
    """Images ``PATH/.../CLASS/FILE``; a class is named by the folder that its images lie in.

    Args:
        path: A folder or a zip file.
        size: Height and width that images are scaled to; 0 leaves them as they are, all of one size.
        colours: ``rgb``, or ``grey`` for one channel.
    """

    def __init__(self, *, path: str, size: Annotated[int, Ge(0)] = 0, colours: Literal["rgb", "grey"] = "rgb") -> None:
        self._path, self._size, self._mode = Path(path), size, "RGB" if colours == "rgb" else "L"

    def load(self) -> Dataset:
        """Reads every image."""
        files = list(_files(self._path))
        if not files:
            raise UsageError(f"{self._path} holds no images in folders", hint=_HINT)
        images = [self._image(name, content) for name, content in files]
        labels = [PurePosixPath(name).parent.as_posix() for name, _ in files]
        names = tuple(sorted(set(labels)))
        x = self._stacked(images, [name for name, _ in files])
        c = np.array([names.index(label) for label in labels], np.int64)
        return Dataset(x, c, DataSpec(image_space(x), spaces.Discrete(len(names))), names)

    def _image(self, name: str, content: bytes) -> NDArray[Any]:
        try:
            with Image.open(io.BytesIO(content)) as image:
                converted = image.convert(self._mode)
        except (UnidentifiedImageError, OSError) as error:
            raise CorruptError(f"{self._path}: the image {name} cannot be read: {error}") from error
        if self._size:
            converted = converted.resize((self._size, self._size), Image.Resampling.BILINEAR)
        pixels = np.asarray(converted)
        return pixels if pixels.ndim == 3 else pixels[..., None]

    def _stacked(self, images: list[NDArray[Any]], names: list[str]) -> NDArray[Any]:
        odd = next((index for index, image in enumerate(images) if image.shape != images[0].shape), None)
        if odd is not None:
            (height, width, _), (other_height, other_width, _) = images[0].shape, images[odd].shape
            raise UsageError(
                f"{self._path}: {names[0]} has {width}x{height} pixels and {names[odd]} {other_width}x{other_height}",
                hint="scale them all: --set data.size=64",
            )
        return np.stack(images)


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields images by their path below the root, in order."""
    if path.is_dir():
        found = ((file.relative_to(path).as_posix(), file) for file in sorted(path.rglob("*")))
        yield from ((name, file.read_bytes()) for name, file in found if _is_image(name))
    elif path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from ((name, archive.read(name)) for name in sorted(archive.namelist()) if _is_image(name))
    else:
        raise UsageError(f"{path} is neither a folder nor a zip file", hint=_HINT)


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in _SUFFIXES and len(path.parts) > 1 and not hidden
