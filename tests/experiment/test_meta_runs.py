"""Runs of meta-learners: begun, stopped, gone on with, judged. XLA is off: it would compile for seconds."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_run import When

from advdl.cli.app import main
from advdl.errors import UsageError
from advdl.experiment.adaptation_curve import curve
from advdl.experiment.config import resolve_experiment
from advdl.experiment.console import Silent
from advdl.experiment.meta_work import load_meta
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import Outcome, begin, resume
from advdl.experiment.signals import StoppedError
from advdl.plugin.host import PluginHost
from advdl.training.checkpoint import CheckpointStore

SETS = (
    "learner.backbone.units=[6]",
    "meta.batch=3",
    "evaluation.tasks=4",
    "evaluation.steps=[0,2]",
    "evaluation.every=10",
    "trainer.jit=off",
    "trainer.chunk_seconds=0.01",
    "log.every=5",
    "checkpoint.every_seconds=0.1",
    "metrics.quantile.share=1",
)


class MetaRun:
    def __init__(self, root: Path) -> None:
        self.host = PluginHost.from_environment()
        options = {"tasks": "sinusoid", "adapter": "maml", "steps": 20}
        self.experiment = resolve_experiment(
            self.host, command_line=options, sets=SETS, config_file=None, environ={}, folder=root, family="meta"
        )
        self.folder = RunFolder.create(root, "sinusoid", "maml", self.experiment, ["advdl", "meta", "train"])

    def begin(self, console: Silent | None = None) -> Outcome:
        return begin(self.experiment, lambda: self.folder, self.host, console or Silent())

    def last(self) -> dict[str, np.ndarray]:
        store = CheckpointStore(self.folder.checkpoints)
        return {name: np.asarray(value) for name, value in store.read(max(store.steps())).items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> MetaRun:
    run = MetaRun(tmp_path_factory.mktemp("whole"))
    outcome = run.begin()
    assert outcome.step == 20
    assert {"error/after_0", "error/after_1", "error/after_2", "error/after_1/interval"} <= {*outcome.verdict.figures}
    assert outcome.verdict.score == -outcome.verdict.figures["error/after_1"]
    assert outcome.verdict.figures["metric/quantile"] > outcome.verdict.figures["error/after_1"]  # the worst task
    for name in ("adaptation", "curve"):
        picture = outcome.verdict.images[name]
        assert picture.dtype == np.uint8
        assert picture.std() > 0
    return run


def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(whole: MetaRun, tmp_path: Path) -> None:
    import signal

    run = MetaRun(tmp_path)
    with pytest.raises(StoppedError):
        run.begin(When(7, lambda: signal.raise_signal(signal.SIGINT)))
    assert max(CheckpointStore(run.folder.checkpoints).steps()) < 20
    resume(run.folder.path, steps=None, host=run.host, console=Silent())
    ours, theirs = run.last(), whole.last()
    assert {*ours} == {*theirs}
    assert [name for name, value in theirs.items() if not np.array_equal(value, ours[name])] == []


def test_what_was_learnt_is_loaded(whole: MetaRun) -> None:
    parts, step = load_meta(whole.folder, whole.host, "last")
    assert step == 20
    first = parts.adapter.meta_variables[0].numpy()
    assert np.array_equal(first, whole.last()["trainer/learner/network/000.kernel"])


def test_it_is_evaluated_as_in_training_unless_other_steps_are_asked_for(
    whole: MetaRun, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = whole.experiment.data["evaluation"]
    for words, steps in (([], [0, 1, 2]), (["--steps", "3,0"], [0, 1, 3])):
        assert main(["meta", "evaluate", str(whole.folder.path), *words, "--json"]) == 0
        data = json.loads(capsys.readouterr().out)
        assert (data["steps"], data["tasks"]) == (steps, usual["tasks"])
        assert all(Path(file).suffix == ".png" for file in data["pictures"])
    assert main(["meta", "evaluate", str(whole.folder.path), "--steps", "many"]) == 2


def test_another_family_is_refused(whole: MetaRun) -> None:
    from advdl.experiment.policy import load_policy

    with pytest.raises(UsageError, match="has no agent"):
        load_policy(whole.folder, whole.host)


def test_the_curve_of_adaptation_goes_as_its_figures_do() -> None:
    """Its line is blue: high on the left and low on the right where the error falls."""
    figures = {"error/after_0": 3.0, "error/after_1": 0.5, "error/after_5": float("inf")}
    figures |= {f"{name}/interval": 0.1 for name in figures}
    picture = curve("error", figures, [0, 1, 5])["curve"]
    rows, columns = np.nonzero((picture == (0, 114, 178)).all(-1))
    middle = picture.shape[1] / 2
    assert rows[columns < middle].mean() < rows[columns > middle].mean()
    assert curve("error", figures, [0]) == {}
