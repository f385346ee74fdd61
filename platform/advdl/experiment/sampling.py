"""What a run's sampler is used for: sheets of samples, arrays, walks between samples, and how good they are."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from advdl.errors import RunError, UsageError, unknown_name
from advdl.experiment.model_work import ModelParts, load_model
from advdl.experiment.run_folder import RunFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from advdl.plugin.host import PluginHost
    from advdl.training.dataset import Dataset
    from advdl.training.sampler import Sampler

_COLUMNS = 10
_FORMATS = (".png", ".npz")


def load_sampler(
    folder: RunFolder, host: "PluginHost", checkpoint: str, warn: Callable[[str], None]
) -> tuple[ModelParts, int]:
    """Rebuilds a run's sampler, as ``load_model`` does.

    Raises:
        UsageError: The run trained something else, or there is no such checkpoint.
        CorruptError: The checkpoint is damaged, and so is every other.
    """
    parts, step = load_model(folder, host, checkpoint, warn)
    _sampler(folder, parts)
    return parts, step


def judged_samples(folder: RunFolder, parts: ModelParts, count: int, seed: int) -> tuple[dict[str, float], str]:
    """Measures samples beside the data.

    Returns:
        Figures by name, and the feature space's name.

    Raises:
        UsageError: The run trained no sampler, there are too few samples, or scikit-learn is not installed.
    """
    from dataclasses import replace

    from advdl.training.sample_quality import features_of, quality
    from advdl.training.sampler import SampleProgram

    sampler, training = _sampler(folder, parts), parts.training
    if count < 16:
        raise UsageError(f"{count} samples are too few to be judged", hint="give 16 or more; as many as data is fair")
    features = features_of(training)
    c = None if training.c is None else training.c[np.arange(count) % len(training)]
    drawn = replace(training, x=SampleProgram(sampler).draw(count, seed, c), c=c)
    return quality(training, parts.held_out, drawn, features), features.name


def save_samples(
    folder: RunFolder,
    parts: ModelParts,
    step: int,
    *,
    count: int,
    given: str | None,
    seed: int,
    output: Path | None,
) -> Path:
    """Draws samples and writes them, as a sheet (``.png``) or as arrays (``.npz``).

    Returns:
        The file.

    Raises:
        UsageError: The condition or the format does not fit.
        RunError: The file cannot be written.
    """
    from advdl.training.sampler import SampleProgram, rows_of_one_c

    sampler = _sampler(folder, parts)
    path = _path(folder, parts, output, f"samples-step-{step:012d}-seed-{seed}")
    rows = -(-count // _COLUMNS)
    of_data = rows_of_one_c(parts.held_out, rows, _COLUMNS)
    c = conditions(parts.training, given, count) if given else None if of_data is None else of_data[:count]
    drawn = SampleProgram(sampler).draw(count, seed, c)
    return _save(path, parts, drawn, c, _COLUMNS)


def save_walks(
    folder: RunFolder,
    parts: ModelParts,
    step: int,
    *,
    rows: int,
    steps: int,
    given: str | None,
    seed: int,
    output: Path | None,
) -> Path:
    """Walks between samples and writes what is met, a walk a row.

    Raises:
        UsageError: The condition or the format does not fit.
        RunError: The file cannot be written.
    """
    from advdl.training.sampler import SampleProgram, rows_of_one_c

    sampler = _sampler(folder, parts)
    path = _path(folder, parts, output, f"walks-step-{step:012d}-seed-{seed}")
    c = conditions(parts.training, given, rows * steps) if given else rows_of_one_c(parts.held_out, rows, steps)
    return _save(path, parts, SampleProgram(sampler).walks(rows, steps, seed, c), c, steps)


def conditions(data: "Dataset", text: str, count: int) -> "NDArray[Any]":
    """Reads a condition and repeats it: a class by its name or its number, a vector as ``0.5,1``.

    Raises:
        UsageError: The data have no condition, or it is none of theirs.
    """
    import gymnasium

    space = data.spec.c
    if space is None:
        raise UsageError("this sampler is unconditional: nothing can be given", hint="leave --given out")
    if isinstance(space, gymnasium.spaces.Discrete):
        value: Any = _class(data, space, text)
    else:
        value = _vector(space, text)
    return np.repeat(np.asarray(value, space.dtype)[None], count, axis=0)


def _class(data: "Dataset", space: Any, text: str) -> int:
    start, names = int(space.start), data.names
    if text in names:
        return start + names.index(text)
    if text.lstrip("-").isdecimal() and int(text) in space:
        return int(text)
    known = names or tuple(str(start + index) for index in range(int(space.n)))
    raise unknown_name("class", text, known, command=f"the classes are {', '.join(known[:20])}")


def _vector(space: Any, text: str) -> "NDArray[Any]":
    size = int(np.prod(space.shape))
    try:
        values = np.array([float(part) for part in text.split(",")])
    except ValueError as error:
        raise UsageError(f"--given cannot be {text!r}: it takes {size} numbers, as in 0.5,1") from error
    if len(values) != size:
        raise UsageError(f"--given has {len(values)} numbers, and this sampler's condition has {size}")
    return values.reshape(space.shape)


def _path(folder: RunFolder, parts: ModelParts, output: Path | None, name: str) -> Path:
    """Says where to write, before anything is drawn."""
    from advdl.training.sample_pictures import is_image

    shown = is_image(parts.training.spec.x)
    path = output or folder.path / "pictures" / f"{name}{'.png' if shown else '.npz'}"
    if path.suffix not in _FORMATS:
        raise UsageError(f"samples are written as {' or '.join(_FORMATS)}, not as {path.suffix or path.name!r}")
    if path.suffix == ".png" and not shown:
        raise UsageError("these samples are no images of 1 or 3 channels: no .png can show them", hint="take .npz")
    return path


def _save(path: Path, parts: ModelParts, drawn: "NDArray[Any]", c: "NDArray[Any] | None", columns: int) -> Path:
    from PIL import Image

    from advdl.training.sample_pictures import sheet

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            Image.fromarray(sheet(drawn, columns, parts.training.spec.x)).save(path)
        else:
            arrays: dict[str, Any] = {"x": drawn} if c is None else {"x": drawn, "c": c}
            np.savez_compressed(path, **arrays)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def _sampler(folder: RunFolder, parts: ModelParts) -> "Sampler":
    from advdl.training.sampler import Sampler

    if not isinstance(parts.learner, Sampler):
        raise UsageError(
            f"run {folder.id} trained no sampler: a {type(parts.learner).__name__} draws nothing",
            hint="advdl model train vae --data digits makes one",
        )
    return parts.learner
