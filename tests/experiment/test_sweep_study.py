"""The study of a sweep: what a trial is worth, the same choices again, and what is done about interrupted trials."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from advdl.errors import CorruptError, UsageError
from advdl.experiment.config import Experiment
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.sweep.objective import progress, worth
from advdl.experiment.sweep.recover import RESUMES, RETRIES, recover
from advdl.experiment.sweep.results import TrialTrackers
from advdl.experiment.sweep.search import is_finished
from advdl.experiment.sweep.show import sweep_data
from advdl.experiment.sweep.space import parse_searches
from advdl.experiment.sweep.spec import SweepFolder, SweepSpec
from advdl.experiment.sweep.study import ask, enqueue_grid, open_study
from advdl.plugin.host import PluginHost

COMMAND = ("agent", "train", "--env", "CartPole")
SPACE = parse_searches(["agent.gamma=float:0.9:0.99", "agent.double=choice:true,false"])


def line(kind: str, step: int, score: float) -> dict[str, Any]:
    return {"kind": kind, "step": step, "score": score, "time/seconds": step / 10}


class TestWorth:
    LINES = (line("during", 100, 20.0), line("during", 200, 480.0), line("final", 200, 470.0))

    def test_a_score_is_that_of_the_last_evaluation(self) -> None:
        found = worth(SweepSpec(COMMAND, SPACE), self.LINES)
        assert found is not None
        assert (found.value, found.reached) == (470.0, None)

    @pytest.mark.parametrize(("objective", "value"), [("steps-to-target", 200.0), ("time-to-target", 20.0)])
    def test_a_target_counts_when_it_is_first_reached(self, objective: str, value: float) -> None:
        spec = SweepSpec(COMMAND, SPACE, objective=objective, target=475.0)
        found = worth(spec, self.LINES)
        assert found is not None
        assert (found.value, found.reached) == (value, True)
        missed = worth(spec, self.LINES[:1])
        assert missed is not None
        assert (missed.value, missed.reached) == (value, False)  # twice the half
        assert progress(spec, self.LINES) == [-20.0, -480.0]

    def test_a_run_without_a_finite_score_is_worth_nothing(self) -> None:
        assert worth(SweepSpec(COMMAND, SPACE), [line("final", 5, float("nan"))]) is None
        assert worth(SweepSpec(COMMAND, SPACE), []) is None


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., tuple[SweepFolder, SweepSpec]]:
    def make(name: str = "s", **options: Any) -> tuple[SweepFolder, SweepSpec]:
        folder, spec = SweepFolder(tmp_path / "runs", name), SweepSpec(COMMAND, SPACE, **options)
        folder.create(spec, {"tensorboard": {}})
        assert folder.spec() == spec
        assert folder.trackers() == {"tensorboard": {}}
        return folder, spec

    return make


@pytest.mark.parametrize(("storage", "trials"), [("journal", 12), ("sqlite", 3)])
def test_a_study_that_is_opened_again_chooses_what_it_would_have_chosen(
    sweep: Callable[..., tuple[SweepFolder, SweepSpec]], storage: str, trials: int
) -> None:
    chosen = []
    for name, reopened in (("one", False), ("two", True)):
        folder, spec = sweep(name, storage=storage, seed=3)
        with pytest.raises(UsageError, match="has no trial yet"):
            open_study(folder, spec, writing=False)
        study = open_study(folder, spec, writing=True)
        for number in range(trials):
            trial = ask(study, spec)
            chosen.append((name, trial.params))
            study.tell(trial, trial.params["agent.gamma"] + number / 100)
            study = open_study(folder, spec, writing=True) if reopened else study
    assert [params for name, params in chosen if name == "one"] == [params for name, params in chosen if name == "two"]
    assert len({str(params) for _, params in chosen}) == trials


def test_a_torn_line_of_the_journal_is_lost_alone(sweep: Callable[..., tuple[SweepFolder, SweepSpec]]) -> None:
    folder, spec = sweep()
    study = open_study(folder, spec, writing=True)
    study.tell(ask(study, spec), 1.0)
    journal = folder.path / "study.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 4, "torn')
    study = open_study(folder, spec, writing=True)
    study.tell(ask(study, spec), 2.0)
    assert [trial.value for trial in open_study(folder, spec, writing=False).trials] == [1.0, 2.0]
    journal.write_bytes(journal.read_bytes()[1:])
    with pytest.raises(CorruptError, match=r"the study in .* is damaged"):
        open_study(folder, spec, writing=True)


def test_a_grid_is_made_once(sweep: Callable[..., tuple[SweepFolder, SweepSpec]]) -> None:
    folder, _ = sweep()
    spec = SweepSpec(COMMAND, parse_searches(["a=int:1:2", "b=choice:x,y"]), sampler="grid")
    study = open_study(folder, spec, writing=True)
    for _ in range(2):
        enqueue_grid(study, spec)
    assert len(study.trials) == spec.grid_size == 4
    points = [ask(study, spec).params for _ in range(4)]
    assert points == [{"a": a, "b": b} for a in (1, 2) for b in ("x", "y")]


class TestRecovery:
    @pytest.fixture
    def killed(self, sweep: Callable[..., tuple[SweepFolder, SweepSpec]]) -> tuple[SweepFolder, SweepSpec]:
        """A sweep whose process died with four trials running; one has no run yet."""
        folder, spec = sweep()
        study = open_study(folder, spec, writing=True)
        for number, status in enumerate(("done", "running", "diverged", None)):
            trial = ask(study, spec)
            if status is None:
                continue
            run = make_run(folder, number)
            run.append_evaluation(100, line("during", 100, 30.0))
            if status == "done":
                run.append_evaluation(200, line("final", 200, 50.0))
            (run.checkpoints / "step-000000000100").mkdir(parents=True)
            run.write_status(status, error="the loss is not finite" if status == "diverged" else "")  # type: ignore[arg-type]
            assert trial.number == number
        return folder, spec

    def test_what_had_ended_counts_and_the_others_wait(self, killed: tuple[SweepFolder, SweepSpec]) -> None:
        folder, spec = killed
        study = open_study(folder, spec, writing=True)
        before = [trial.params for trial in study.trials]
        trackers = TrialTrackers(folder, PluginHost.from_environment(), folder.trackers(), pytest.fail)
        assert [sentence.split(" ", 2)[2] for sentence in recover(study, folder, spec, trackers)] == [
            "had ended; it counts",
            "was interrupted; its settings are tried again",
            "had failed",
            "was interrupted; its settings are tried again",
        ]
        trials = study.trials
        assert [trial.state.name for trial in trials] == ["COMPLETE", *["FAIL"] * 3, *["WAITING"] * 2]
        assert (trials[0].value, trials[0].intermediate_values) == (50.0, {1: 30.0})
        assert sum(map(is_finished, trials)) == 2
        assert recover(study, folder, spec, trackers) == []
        again = [ask(study, spec) for _ in range(2)]
        assert [trial.params for trial in again] == [before[1], before[3]]
        assert again[0].user_attrs[RESUMES].startswith("CartPole-v1/dqn/")
        assert [trial.user_attrs.get(RETRIES) for trial in again] == [1, 3]
        assert RESUMES not in again[1].user_attrs
        assert list((folder.trials / "0000").glob("events.out.tfevents.*"))
        data = sweep_data(folder)
        states = [trial["state"] for trial in data["trials"]]
        assert states == ["done", "interrupted", "failed", "interrupted", "running", "running"]
        assert data["best"]["number"] == 0
        assert "--set agent.gamma=" in data["best"]["command"]
        assert data["trials"][2]["problem"] == "the loss is not finite"

    def test_a_crash_while_it_recovers_tries_nothing_twice(self, killed: tuple[SweepFolder, SweepSpec]) -> None:
        folder, spec = killed
        study = open_study(folder, spec, writing=True)
        trackers = TrialTrackers(folder, PluginHost.from_environment(), {}, pytest.fail)
        study.enqueue_trial(study.trials[1].params, user_attrs={RETRIES: 1})  # the crash came right after
        recover(study, folder, spec, trackers)
        waiting = [trial for trial in study.trials if trial.state == TrialState.WAITING]
        assert [trial.user_attrs[RETRIES] for trial in waiting] == [1, 3]


def make_run(folder: SweepFolder, number: int) -> RunFolder:
    experiment = Experiment({"seed": 0, "steps": 200}, {})
    marks = (folder.tag, f"trial={number}")
    return RunFolder.create(folder.root, "CartPole-v1", "dqn", experiment, ["advdl"], tags=marks)
