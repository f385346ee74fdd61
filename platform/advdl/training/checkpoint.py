"""CheckpointStore: a run's state on the disk, complete or not there at all.

A step is written to a temporary folder beside its final place, every file is synced, the manifest with all
hashes comes last, and one rename publishes it. So a crash at any moment leaves the steps that were there
before, and perhaps the new one. The latest step is found by looking, never by a pointer that could be stale.

    checkpoints/step-000000012345/   state.index, state.data-00000-of-00001   the tensors, a TensorBundle; or
                                     state.npz                                the arrays of a run without TensorFlow
                                     meta.json                                plain facts
                                     manifest.json                            hashes, names, shapes, dtypes
                                     best                                     present if pruning must keep it
"""

import contextlib
import json
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from advdl.errors import CorruptError, RunError, UsageError
from advdl.training.disk import Disk
from advdl.training.manifest import MANIFEST, META, DamageError, Manifest
from advdl.training.tensor_format import TensorFormat, format_of, tensor_bundle
from advdl.training.tensors import Array, differences

if TYPE_CHECKING:
    from advdl.training.state import State

_STEP_NAME = re.compile(r"step-(\d{12,})")
_BEST = "best"


@dataclass(frozen=True, slots=True)
class Restored:
    """What ``restore`` read.

    Attributes:
        step: The step that was saved.
        meta: The plain facts that were saved with it.
    """

    step: int
    meta: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What ``load`` read.

    Attributes:
        step: The step that was saved.
        meta: The plain facts that were saved with it.
        arrays: The tensors by name.
    """

    step: int
    meta: Mapping[str, Any]
    arrays: Mapping[str, Array]


class CheckpointStore:
    """The checkpoints of one run, in one folder, written by one process at a time.

    Args:
        folder: Where the steps' folders are; made at the first save.
        keep_last: How many of the newest steps pruning keeps, at least 1; the best one stays besides.
        disk: The file system; tests pass one that fails.
        tensor_format: How ``save`` writes tensors; TensorFlow's own format when None. Reading finds out by itself.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep_last: int = 2,
        disk: Disk | None = None,
        tensor_format: TensorFormat | None = None,
    ) -> None:
        if keep_last < 1:
            raise UsageError(f"checkpoint.keep_last is {keep_last}, and must be at least 1")
        self.folder = folder
        self._keep_last = keep_last
        self._disk = disk or Disk()
        self._tensor_format = tensor_format

    def path(self, step: int) -> Path:
        """Returns the folder of a step, whether it is there or not."""
        return self.folder / f"step-{step:012d}"

    def steps(self) -> list[int]:
        """Returns the steps that have been published, oldest first; one may since have been damaged."""
        if not self.folder.is_dir():
            return []
        names = (_STEP_NAME.fullmatch(path.name) for path in self.folder.iterdir() if path.is_dir())
        return sorted(int(name[1]) for name in names if name)

    def best(self) -> int | None:
        """Returns the step that pruning must keep, or None."""
        return max((step for step in self.steps() if self._mark(step).exists()), default=None)

    def protect(self, step: int) -> None:
        """Makes a step the best one: pruning keeps it until another is.

        Raises:
            UsageError: There is no such step.
            RunError: The disk refused.
        """
        self._require(step)
        try:
            # The new mark comes first: a crash between the two leaves one of them, never none.
            self._disk.write_bytes(self._mark(step), b"")
            self._disk.sync(self.path(step))
            for other in self.steps():
                if other != step and self._mark(other).exists():
                    self._disk.unlink(self._mark(other))
        except OSError as error:
            reason = _reason(error)
            raise RunError(f"cannot mark step {step} as the best one in {self.folder}: {reason}") from error

    def save(self, step: int, state: "State", meta: Mapping[str, Any]) -> Path:
        """Publishes a state as step ``step``, then prunes.

        A step that is there and sound is left as it is. A run has one history: later steps, left over from
        before a restore of an earlier one, are removed.

        Args:
            step: The step, at least 0.
            state: Live variables or arrays by name.
            meta: Facts that JSON can hold.

        Returns:
            The step's folder.

        Raises:
            RunError: The disk is full or broken. Every step that was there before is intact.
        """
        facts = json.dumps(meta, sort_keys=True, indent=1).encode()
        if self._sound(step):
            return self.path(step)
        earlier = [other for other in self.steps() if other < step]
        work = self.folder / f".tmp-{self.path(step).name}"
        try:
            self._prepare()
            self._write(work, step, state, facts)
            self._publish(work, step)
        except OSError as error:
            self._abandon(work)
            rest = f"the previous one, step {earlier[-1]}, is intact" if earlier else "there is none before it"
            raise RunError(
                f"cannot save the checkpoint of step {step} in {self.folder}: {_reason(error)}; {rest}",
                hint=f"make room, then: advdl runs resume {self.folder.parent}" if _full(error) else "",
            ) from error
        self._prune(step)
        return self.path(step)

    def restore(
        self,
        state: "State",
        step: int | None = None,
        *,
        partial: bool = False,
        warn: Callable[[str], None] = warnings.warn,
    ) -> Restored:
        """Assigns a saved state to the live one: all of it, or nothing.

        Args:
            state: The live variables or arrays.
            step: Which step; None takes the newest that is sound.
            partial: Whether the checkpoint may hold more than ``state``, as when only the weights are wanted.
            warn: Told once, in one sentence, when damaged steps were passed over.

        Raises:
            UsageError: There is no checkpoint, or it does not fit the live state: names, shapes or dtypes.
            CorruptError: No step (or not the one asked for) is sound, or a newer advdl wrote it.
        """
        found, tensors = self._sound_tensors(step, warn, lambda *opened: self._fitting(state, *opened, partial=partial))
        self._format(found.manifest).assign(state, tensors)
        return Restored(found.step, found.meta)

    def load(self, step: int | None = None, *, prefix: str = "", warn: Callable[[str], None] = warnings.warn) -> Loaded:
        """Returns a saved state, whatever it holds; needs no live one.

        Args:
            step: Which step; None takes the newest that is sound.
            prefix: Only tensors whose names start with it.
            warn: Told once, in one sentence, when damaged steps were passed over.

        Raises:
            UsageError: There is no checkpoint.
            CorruptError: As ``restore``.
        """

        def wanted(step: int, manifest: Manifest) -> Sequence[str]:
            del step
            return [name for name in manifest.tensors if name.startswith(prefix)]

        found, tensors = self._sound_tensors(step, warn, wanted)
        return Loaded(found.step, found.meta, {name: np.asarray(tensor) for name, tensor in tensors.items()})

    def read(self, step: int, *, prefix: str = "") -> dict[str, Array]:
        """Returns a step's tensors whose names start with ``prefix``; needs no live state.

        Raises:
            UsageError: There is no such step.
            CorruptError: It is damaged.
        """
        return dict(self.load(step, prefix=prefix).arrays)

    def meta(self, step: int) -> Mapping[str, Any]:
        """Returns the facts saved with a step.

        Raises:
            UsageError: There is no such step.
            CorruptError: It is damaged.
        """
        self._require(step)
        try:
            return self._open(step)[1]
        except DamageError as damage:
            raise CorruptError(self._complaint({step: str(damage)})) from damage

    def _mark(self, step: int) -> Path:
        return self.path(step) / _BEST

    def _require(self, step: int) -> None:
        steps = self.steps()
        if step not in steps:
            hint = f"steps that are there: {', '.join(map(str, steps))}" if steps else ""
            raise UsageError(f"there is no checkpoint of step {step} in {self.folder}", hint=hint)

    def _candidates(self, step: int | None) -> Sequence[int]:
        if step is not None:
            self._require(step)
            return [step]
        if not self.steps():
            raise UsageError(f"there is no checkpoint in {self.folder}", hint="the run ended before its first")
        return self.steps()[::-1]

    def _prepare(self) -> None:
        if not self.folder.is_dir():
            self._disk.mkdir(self.folder)
            self._disk.sync(self.folder.parent)
        for stale in self.folder.glob(".tmp-*"):
            self._disk.remove_tree(stale)

    def _sound_tensors(
        self, step: int | None, warn: Callable[[str], None], choose: Callable[[int, Manifest], Sequence[str]]
    ) -> "tuple[_Opened, dict[str, Any]]":
        """Reads the chosen tensors of the first candidate that is sound."""
        damaged: dict[int, str] = {}
        for candidate in self._candidates(step):
            try:
                manifest, meta = self._open(candidate)
                names = choose(candidate, manifest)
                tensors = self._format(manifest).read(self.path(candidate), manifest.tensors, names)
            except DamageError as damage:
                damaged[candidate] = str(damage)
                continue
            if damaged:
                warn(f"{self._complaint(damaged)}; step {candidate} is used instead")
            return _Opened(candidate, manifest, meta), tensors
        others = [other for other in self.steps() if other not in damaged]
        hint = f"other steps that are there: {', '.join(map(str, others))}" if others else ""
        raise CorruptError(self._complaint(damaged), hint=hint)

    def _fitting(self, state: "State", step: int, manifest: Manifest, *, partial: bool) -> Sequence[str]:
        """Returns the names that a live state has, once the saved one fits it."""
        live = self._format(manifest).backing(state)
        found = differences(live, manifest.tensors, partial=partial)
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise UsageError(
                f"the checkpoint of step {step} in {self.folder} does not fit: {found[0]}{more}",
                hint="the agent, its options, the env or a plugin has changed since it was saved",
            )
        return list(state)

    def _format(self, manifest: Manifest) -> TensorFormat:
        return format_of(list(manifest.files))

    def _write(self, work: Path, step: int, state: "State", facts: bytes) -> None:
        self._disk.mkdir(work)
        tensors = self._tensor_format or tensor_bundle()
        described = tensors.write(work, state, self._disk)
        if (work / tensors.data).stat().st_size < sum(fact.size for fact in described.values()):
            raise OSError(ENOSPC, os.strerror(ENOSPC))  # the hashes would vouch for a file that is too short
        self._disk.write_bytes(work / META, facts)
        for name in (*tensors.files, META):
            self._disk.sync(work / name)
        manifest = Manifest.describe(work, step, described, self._disk, tensors.files)
        self._disk.write_bytes(work / MANIFEST, manifest.render())
        self._disk.sync(work / MANIFEST)

    def _publish(self, work: Path, step: int) -> None:
        if self._mark(step).exists():
            self._disk.write_bytes(work / _BEST, b"")
        self._disk.sync(work)
        if self.path(step).exists():
            self._remove(step)  # damaged, or save() would have left it
        self._disk.rename(work, self.path(step))
        self._disk.sync(self.folder)

    def _abandon(self, work: Path) -> None:
        # The error that led here is the one to report; what cannot be removed now goes at the next save.
        with contextlib.suppress(OSError):
            if work.exists():
                self._disk.remove_tree(work)

    def _prune(self, newest: int) -> None:
        history = [step for step in self.steps() if step <= newest]
        kept = {*history[-self._keep_last :], self.best()}
        try:
            for step in self.steps():
                if step > newest or step not in kept:
                    self._remove(step)
        except OSError as error:
            raise RunError(
                f"step {newest} is saved in {self.folder}, but an old one cannot be removed: {_reason(error)}"
            ) from error

    def _remove(self, step: int) -> None:
        """Renames first: a crash half-way must not leave a step that looks published."""
        doomed = self.folder / f".tmp-old-{self.path(step).name}"
        self._disk.rename(self.path(step), doomed)
        self._disk.remove_tree(doomed)

    def _sound(self, step: int) -> bool:
        try:
            return step in self.steps() and bool(self._open(step))
        except DamageError:
            return False

    def _open(self, step: int) -> tuple[Manifest, Mapping[str, Any]]:
        """Verifies every byte of a step."""
        folder = self.path(step)
        try:
            manifest = Manifest.parse((folder / MANIFEST).read_bytes())
            manifest.verify(folder, step, self._disk)
            return manifest, json.loads((folder / META).read_bytes())
        except FileNotFoundError as error:
            raise DamageError(f"{Path(error.filename).name} is missing") from error
        except (OSError, ValueError) as error:
            raise DamageError(_reason(error)) from error
        except CorruptError as error:
            raise CorruptError(f"{folder} is refused: {error}", hint="upgrade advdl") from error

    def _complaint(self, damaged: Mapping[int, str]) -> str:
        reasons = ", ".join(f"step {step} ({reason})" for step, reason in damaged.items())
        return f"damaged in {self.folder}: {reasons}"


@dataclass(frozen=True, slots=True)
class _Opened:
    """A step whose every byte has been verified."""

    step: int
    manifest: Manifest
    meta: Mapping[str, Any]


def _full(error: Exception) -> bool:
    return getattr(error, "errno", None) == ENOSPC


def _reason(error: Exception) -> str:
    """Returns why, in a few words."""
    if _full(error):
        return "no space left on the device"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)
