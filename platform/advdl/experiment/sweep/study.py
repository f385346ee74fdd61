"""A sweep's Optuna study: where it is kept, how settings are chosen, and which trials do badly."""

import itertools
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from advdl.errors import CorruptError, UsageError
from advdl.experiment.sweep.spec import SweepFolder, SweepSpec

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage

INSTALL = "pip install 'advdl[sweep]'"

_FILES = {"journal": "study.jsonl", "sqlite": "study.sqlite"}


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Optuna's log and its warnings of what it calls experimental to itself."""
    import optuna

    optuna.logging.set_verbosity(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def require_optuna() -> None:
    """Refuses to search without Optuna.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UsageError("a sweep needs optuna, which is not installed", hint=INSTALL) from None


def open_study(folder: SweepFolder, spec: SweepSpec, *, writing: bool) -> "Study":
    """Opens the study of a sweep; makes it, where it is to be written and is not there.

    Args:
        folder: The sweep.
        spec: What it is.
        writing: Whether this process holds the sweep's lock, and will add trials.

    Raises:
        UsageError: There is no trial yet to be read.
        CorruptError: Its file is damaged.
    """
    import optuna

    file = folder.path / _FILES[spec.storage]
    if not writing and not file.exists():
        raise UsageError(f"sweep {folder.name} has no trial yet", hint=f"advdl sweep run --name {folder.name}")
    try:
        with quiet():
            storage = _storage(file, spec.storage, writing=writing)
            if not writing:
                return optuna.load_study(study_name=folder.name, storage=storage)
            return optuna.create_study(
                study_name=folder.name,
                storage=storage,
                direction="maximize" if spec.maximises else "minimize",
                pruner=_pruner(spec.pruner),
                load_if_exists=True,
            )
    except (ValueError, KeyError, AttributeError, TypeError, optuna.exceptions.StorageInternalError) as error:
        raise CorruptError(
            f"the study in {folder.path} is damaged: {error}", hint="begin another: --name NAME"
        ) from error


def ask(study: "Study", spec: SweepSpec) -> "Trial":
    """Chooses the next trial's settings: those that wait to be tried again, or else the sampler's.

    The sampler is made anew for each trial, its seed a function of the trial's number, so that a sweep that goes on
    chooses what it would have chosen.
    """
    with quiet():
        study.sampler = _sampler(spec, len(study.get_trials(deepcopy=False)))
        return study.ask({key: dimension.distribution() for key, dimension in spec.space.items()})


def enqueue_grid(study: "Study", spec: SweepSpec) -> None:
    """Makes every point of the grid wait; those that are there already stay as they are."""
    axes = [dimension.every() or [] for dimension in spec.space.values()]
    with quiet():
        for point in itertools.product(*axes):
            study.enqueue_trial(dict(zip(spec.space, point, strict=True)), skip_if_exists=True)


def _storage(file: Path, kind: str, *, writing: bool) -> "str | BaseStorage":
    if kind == "sqlite":
        return f"sqlite:///{file.resolve()}"
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    if writing:
        _drop_torn_line(file)
    return JournalStorage(JournalFileBackend(str(file), lock_obj=_NoLock()))  # type: ignore[arg-type]


class _NoLock:
    """Optuna's own lock outlives a process that is killed; the sweep's does not, and lets one process write."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _drop_torn_line(file: Path) -> None:
    """Cuts a last line that a killed process has not finished: what is appended to it would be lost with it."""
    if file.exists():
        content = file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with file.open("r+b") as open_file:
                open_file.truncate(whole)


def _sampler(spec: SweepSpec, number: int) -> "BaseSampler":
    from optuna import samplers

    seed = (spec.seed * 1_000_003 + number) % 2**31
    if spec.sampler == "tpe":
        return samplers.TPESampler(seed=seed, multivariate=len(spec.space) > 1)
    if spec.sampler == "qmc":  # a sequence: its seed is that of the whole
        return samplers.QMCSampler(seed=spec.seed, scramble=True)
    if spec.sampler == "gp":
        return _gaussian_process(seed)
    return samplers.RandomSampler(seed=seed)


def _gaussian_process(seed: int) -> "BaseSampler":
    from optuna import samplers

    try:
        return samplers.GPSampler(seed=seed, deterministic_objective=False)
    except ImportError:
        raise UsageError(
            "sampler 'gp' needs torch and scipy", hint="pip install torch scipy, or --sampler tpe"
        ) from None


def _pruner(name: str) -> "BasePruner":
    from optuna import pruners

    made: dict[str, Callable[[], BasePruner]] = {
        "none": pruners.NopPruner,
        "median": lambda: pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
        "percentile": lambda: pruners.PercentilePruner(25.0, n_startup_trials=4, n_warmup_steps=1),
        "halving": lambda: pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        "hyperband": lambda: pruners.HyperbandPruner(min_resource=1, reduction_factor=3),
    }
    return made[name]()
