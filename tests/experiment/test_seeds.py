"""Several seeds side by side: real processes that keep a run's contract, without what makes them slow."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from advdl.errors import UsageError
from advdl.experiment.files import Journal
from advdl.experiment.groups import find_group
from advdl.experiment.seeds import Seeds

PROGRAM = (sys.executable, str(Path(__file__).with_name("seed_program.py")))


@pytest.fixture
def seeds(tmp_path: Path) -> Callable[..., Seeds]:
    def make(*what: str, jobs: int = 2) -> Seeds:
        commands = {seed: [str(tmp_path), str(seed), each] for seed, each in enumerate(what, start=3)}
        return Seeds(commands, jobs=jobs, program=PROGRAM)

    return make


def trained(seeds: Seeds) -> tuple[list[tuple[int, str]], int]:
    """Trains; returns what was said, and how many ran at once."""
    heard, most = [], 0

    def watch(runs, said):
        nonlocal most
        heard.extend(said)
        most = max(most, sum(run.status == "running" for run in runs))

    seeds.train(watch)
    return heard, most


def test_all_are_trained_within_the_jobs_and_belong_together(seeds: Callable[..., Seeds], tmp_path: Path) -> None:
    several = seeds("lasts", "lasts", "lasts", jobs=2)
    said, most = trained(several)
    assert most == 2
    assert [(run.status, run.step, run.steps, run.score, run.code) for run in several.runs] == [
        ("done", 100, 100, 10.0 * seed, 0) for seed in (3, 4, 5)
    ]
    assert sorted(said) == [(seed, "step 100: return 1.0") for seed in (3, 4, 5)]
    group = find_group("toy", tmp_path)
    assert group is not None
    assert (group.name, [folder.record().seed for folder in group.folders]) == ("toys", [3, 4, 5])
    assert find_group("else", tmp_path) is None


def test_one_that_fails_or_is_killed_is_named_and_the_others_go_on(seeds: Callable[..., Seeds]) -> None:
    several = seeds("fails", "dies", "done", jobs=1)
    trained(several)
    assert [(run.seed, run.status, run.code) for run in several.runs] == [
        (3, "failed", 1),
        (4, "failed", 137),
        (5, "done", 0),
    ]
    assert several.runs[0].error == "CartPole-v1 copy 3 raised ValueError"
    assert several.runs[1].error == "its process was killed by SIGKILL"
    assert several.runs[1].step == 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_all_and_nothing_more_is_started(seeds: Callable[..., Seeds], number: signal.Signals) -> None:
    several = seeds("waits", "waits", "done", jobs=2)
    sent = []

    def watch(runs, said):
        if not sent and all(run.step == 40 for run in runs[:2]):
            sent.append(os.kill(os.getpid(), number))

    before = signal.getsignal(number)
    several.train(watch)
    assert signal.getsignal(number) == before
    assert several.stopped_by == number
    assert [(run.status, run.step, run.code) for run in several.runs] == [
        ("interrupted", 50, 128 + number),
        ("interrupted", 50, 128 + number),
        ("waiting", 0, None),
    ]


def test_what_all_would_refuse_is_not_started_again(seeds: Callable[..., Seeds]) -> None:
    several = seeds("refuses", "refuses", "refuses", jobs=1)
    trained(several)
    assert [run.refused for run in several.runs] == [True, False, False]
    assert (several.runs[0].error, several.runs[0].hint) == ("agent has no option 'gama'", "did you mean 'gamma'?")
    assert several.runs[2].status == "waiting"


def test_no_process_outlives_one_who_watches_and_fails(seeds: Callable[..., Seeds]) -> None:
    several = seeds("waits", jobs=1)

    def watch(runs, said):
        if runs[0].step:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        several.train(watch)
    assert several.runs[0].folder is not None
    assert several.runs[0].folder.record().status == "interrupted"


def test_two_groups_that_begin_so_are_told_apart(tmp_path: Path) -> None:
    from advdl.experiment.config import Experiment
    from advdl.experiment.run_folder import RunFolder

    for group in ("wide", "wider"):
        RunFolder.create(tmp_path, "Toy-v0", "toy", Experiment({"seed": 0, "steps": 1}, {}), ["advdl"], group=group)
    assert len(find_group("wide", tmp_path).folders) == 1
    with pytest.raises(UsageError, match="'wid' begins the names of 2 groups"):
        find_group("wid", tmp_path)


def test_the_end_of_a_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    assert journal.last() is None
    journal.append({"step": 1, "returns": [0.5] * 30_000})  # longer than the part that is read
    assert journal.last()["step"] == 1
    journal.append({"step": 2})
    with journal.path.open("ab") as file:
        file.write(b'{"step": 3')
    assert journal.last() == {"step": 2}
