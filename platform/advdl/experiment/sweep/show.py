"""What a sweep has found: its trials, the best of them, which settings matter, and plots."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.sweep.recover import INTERRUPTED, PROBLEM, REACHED, RUN
from advdl.experiment.sweep.search import is_finished, trial_words
from advdl.experiment.sweep.space import plain_setting
from advdl.experiment.sweep.spec import SweepFolder, SweepSpec
from advdl.experiment.sweep.study import INSTALL, open_study, quiet

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_FEWEST = 2
_STATES = {"COMPLETE": "done", "FAIL": "failed"}


def sweep_data(folder: SweepFolder) -> dict[str, Any]:
    """Returns all there is to tell of a sweep, as plain data.

    Raises:
        UsageError: It has no trial yet.
        CorruptError: A file of it is damaged.
    """
    spec = folder.spec()
    study = open_study(folder, spec, writing=False)
    trials = study.get_trials(deepcopy=False)
    best = _best(study)
    return {
        "name": folder.name,
        "folder": str(folder.path),
        "command": shlex.join(["advdl", *spec.command]),
        "objective": spec.objective,
        "target": spec.target,
        "sampler": spec.sampler,
        "pruner": spec.pruner,
        "search": {key: dimension.text for key, dimension in spec.space.items()},
        "finished": sum(map(is_finished, trials)),
        "best": None if best is None else {**_trial(folder, best), "command": _command(spec, best)},
        "importance": importance(study),
        "trials": [_trial(folder, trial) for trial in trials],
    }


def importance(study: "Study") -> dict[str, float] | None:
    """Returns each setting's share of what makes trials differ (fANOVA, Hutter et al. 2014); None with too few trials.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    if len(_differing(study)) < _FEWEST:
        return None
    try:
        with quiet():
            from optuna.importance import FanovaImportanceEvaluator, get_param_importances

            return dict(get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0)))
    except ImportError:
        raise UsageError(
            "the importance of settings needs scikit-learn, which is not installed", hint=INSTALL
        ) from None
    except (RuntimeError, ValueError):  # trials that are all worth the same say nothing
        return None


def plots(folder: SweepFolder) -> list[Path]:
    """Draws importance, parallel coordinates and history as PNG files into the sweep's folder.

    Raises:
        UsageError: matplotlib is not installed, or there are too few trials.
    """
    study = open_study(folder, folder.spec(), writing=False)
    if len(_differing(study)) < _FEWEST:
        return []
    try:
        import matplotlib
    except ImportError:
        raise UsageError("plots need matplotlib, which is not installed", hint=f"{INSTALL}, or --no-plots") from None
    matplotlib.use("Agg")
    (folder.path / "plots").mkdir(exist_ok=True)
    return [_draw(folder.path / "plots" / f"{name}.png", name, study) for name in ("importance", "parallel", "history")]


def _draw(path: Path, name: str, study: "Study") -> Path:
    import warnings

    import matplotlib.pyplot as plt
    from optuna.importance import FanovaImportanceEvaluator
    from optuna.visualization import matplotlib as drawing

    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # matplotlib's, of layouts that it would have liked otherwise
        if name == "importance":
            axes = drawing.plot_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
        elif name == "parallel":
            axes = drawing.plot_parallel_coordinate(study)
        else:
            axes = drawing.plot_optimization_history(study)
        figure: Any = axes.figure
        figure.set_size_inches(10, 5)
        figure.savefig(path, dpi=120, bbox_inches="tight")
        plt.close(figure)
    return path


def _differing(study: "Study") -> Sequence[float]:
    """Returns the values of the trials that count; fewer than two different ones say nothing."""
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted({trial.value for trial in done if trial.value is not None})


def _best(study: "Study") -> "FrozenTrial | None":
    try:
        return study.best_trial
    except ValueError:  # none is complete
        return None


def _command(spec: SweepSpec, trial: "FrozenTrial") -> str:
    return shlex.join(["advdl", *trial_words(spec, trial.params)])


def _trial(folder: SweepFolder, trial: "FrozenTrial") -> dict[str, Any]:
    facts: Mapping[str, Any] = trial.user_attrs
    state = _STATES.get(trial.state.name, trial.state.name.lower())
    run = facts.get(RUN)
    return {
        "number": trial.number,
        "state": "interrupted" if facts.get(PROBLEM) == INTERRUPTED else state,
        "value": trial.value,
        "reached": facts.get(REACHED),
        "params": {key: plain_setting(value) for key, value in trial.params.items()},
        "evaluations": len(trial.intermediate_values),
        "run": None if run is None else str(folder.root / run),
        "problem": facts.get(PROBLEM, ""),
    }
