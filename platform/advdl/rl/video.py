"""Writes frames to an MP4 file (extra ``video``) or to a GIF."""

import contextlib
import importlib
import importlib.util
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from advdl.errors import RunError, UsageError

Frame = NDArray[np.uint8]
"""An RGB image, ``[height, width, 3]``."""

_GIF_FPS = 25.0


class Recorder(Protocol):
    """Takes frames, all of one size."""

    def add(self, frame: Frame) -> None:
        """Appends a frame."""


def playable(path: Path) -> Path:
    """Returns the file that can be written: ``path``, or a GIF beside it where MP4 needs a missing package.

    Raises:
        UsageError: Neither an ``.mp4`` nor a ``.gif`` file.
    """
    suffix = path.suffix.lower()
    if suffix not in (".mp4", ".gif"):
        raise UsageError(f"{str(path)!r} is neither an .mp4 nor a .gif file")
    if suffix == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        return path.with_suffix(".gif")
    return path


@contextlib.contextmanager
def record(path: Path, fps: float) -> Iterator[Recorder]:
    """Opens a file for frames; what was added is in the file also when the block is left by an exception.

    Args:
        path: What ``playable`` returned; its folder is made if need be.
        fps: Frames per second. A GIF keeps at most 25 of them.

    Raises:
        RunError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise RunError(f"the video {str(path)!r} cannot be written: {error.strerror}") from error
    recorder = _Mp4(path, fps) if path.suffix.lower() == ".mp4" else _Gif(path, fps)
    try:
        yield recorder
    finally:
        recorder.close()


class _Mp4:
    """H.264 through the ffmpeg that imageio-ffmpeg ships; frame by frame, so that memory stays small."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._fps = fps
        self._writer: Generator[None, Any, None] | None = None

    def add(self, frame: Frame) -> None:
        if self._writer is None:
            self._writer = self._start(frame)
        self._writer.send(np.ascontiguousarray(frame))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _start(self, frame: Frame) -> Generator[None, Any, None]:
        ffmpeg = importlib.import_module("imageio_ffmpeg")  # an extra, and untyped
        size = (frame.shape[1], frame.shape[0])
        # Even sides are all that H.264 needs; the default would scale to multiples of 16.
        writer: Generator[None, Any, None] = ffmpeg.write_frames(
            str(self._path), size, fps=self._fps, macro_block_size=2
        )
        writer.send(None)
        return writer


class _Gif:
    """GIF through Pillow, which TensorBoard requires anyway."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._every = max(1, round(fps / _GIF_FPS))
        self._milliseconds = round(1000 * self._every / fps)
        self._frames: list[Any] = []
        self._seen = 0

    def add(self, frame: Frame) -> None:
        from PIL import Image

        if self._seen % self._every == 0:
            self._frames.append(Image.fromarray(frame).quantize(64, method=Image.Quantize.FASTOCTREE))
        self._seen += 1

    def close(self) -> None:
        if self._frames:
            first, *rest = self._frames
            first.save(self._path, save_all=True, append_images=rest, duration=self._milliseconds, loop=0)
