"""``--seeds`` on the command line: two real trainings, and what is shown and refused."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from advdl.cli.app import main
from advdl.cli.seed_table import SeedTable
from advdl.cli.seeds import report
from advdl.errors import DivergedError, RunError, UsageError
from advdl.experiment.config import Experiment
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.seeds import SeedRun, Seeds
from advdl.rl.statistics import stratified_interval

ADVDL = Path(sys.executable).with_name("advdl")
SETS = (
    "agent.backbone.units=[8]",
    "agent.buffer_size=600",
    "agent.learning_starts=64",
    "agent.batch_size=16",
    "env.num=8",
    "trainer.jit=off",
    "trainer.chunk_seconds=0.1",
    "evaluation.every=0",
    "log.every=100",
    "checkpoint.every_seconds=0.2",
    "checkpoint.max_share=1",
)
PATIENCE = 500.0


def records(root: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(root.glob("*/*/2*/run.json"))]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def training(root: Path) -> dict[int, Path]:
    """The folders of the runs that have written metrics, by seed."""
    folders = [path.parent for path in root.glob("runs/*/*/2*/metrics.jsonl") if path.stat().st_size]
    return {json.loads((folder / "run.json").read_text())["seed"]: folder for folder in folders}


def until(happened: Callable[[], bool], several: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert several.poll() is None, several.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_a_killed_seed_is_named_the_next_one_begins_and_ctrl_c_saves_what_trains(tmp_path: Path) -> None:
    words = ["agent", "train", "--env", "CartPole", "--agent", "dqn", "--steps", "1000000", "--seed", "7"]
    words += [word for each in SETS for word in ("--set", each)]
    several = subprocess.Popen(
        [ADVDL, *words, "--seeds", "4", "--jobs", "2", "--group", "pair", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: {*training(tmp_path)} == {7, 8}, several)
        assert len(children(several.pid)) == 2
        os.kill(int((training(tmp_path)[7] / "lock").read_text()), signal.SIGKILL)
        until(lambda: 9 in training(tmp_path), several)  # so the death of seed 7 has been noticed
        several.send_signal(signal.SIGINT)  # nothing more starts; two are still to save their checkpoints
        out, err = several.communicate(timeout=PATIENCE)
    finally:
        for pid in (*children(several.pid), several.pid) if several.poll() is None else ():
            os.kill(pid, signal.SIGKILL)
    assert several.returncode == 130, err
    data = json.loads(out)
    assert data["group"] == "pair"
    killed, *saved, waiting = data["seeds"]
    assert (killed["seed"], killed["status"], killed["exit_code"]) == (7, "failed", 128 + signal.SIGKILL)
    assert killed["error"] == "its process was killed by SIGKILL"
    for seed, one in zip((8, 9), saved, strict=True):
        assert (one["seed"], one["status"], one["exit_code"]) == (seed, "interrupted", 130)
        assert one["step"] >= 100
        steps = [
            int(path.parent.name[5:]) for path in Path(tmp_path, one["folder"]).glob("checkpoints/*/manifest.json")
        ]
        assert max(steps) == one["step"]
    assert (waiting["seed"], waiting["status"], waiting["run"]) == (10, "waiting", None)
    assert "error: stopped by SIGINT; " in err
    assert data["next"]["resume"] == "advdl runs resume pair"
    assert "--seed 10 --seeds 1 --jobs 2 --group pair" in data["next"]["start"]
    assert {record["group"] for record in records(tmp_path / "runs")} == {"pair"}
    assert "agent train --env CartPole --agent dqn" in " ".join(records(tmp_path / "runs")[0]["command"])


@pytest.mark.parametrize("noun", [("agent", "train"), ("meta", "train"), ("model", "train", "classifier")])
def test_settings_are_refused_once_for_all_seeds(
    noun: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*noun, "--seeds", "3", "--jobs", "1", "--quiet", "--set", "stepz=3"]) == 2
    captured = capfd.readouterr()
    assert captured.err.count("error: there is no setting 'stepz'") == 1
    assert "did you mean 'steps'" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "seed=3"], "--set seed=... cannot be combined with --seeds"),
        (["--group", "a/b"], "--group cannot be 'a/b'"),
        (["--group", "latest"], "--group cannot be 'latest'"),
    ],
)
def test_what_does_not_go_together(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agent", "train", "--seeds", "2", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_workers_of_one_run_are_no_seeds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert main(["agent", "train", "--seeds", "2"]) == 2
    assert "cannot be combined with launch" in capsys.readouterr().err


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def five() -> list[SeedRun]:
    running = [SeedRun(seed, "running", step=10_000 * seed, steps=1_000_000, score=-123456.789) for seed in (1, 2)]
    return [*running, SeedRun(3, "failed", step=5), SeedRun(4), SeedRun(2_000_000_000)]


def shown(terminal: io.StringIO, clock: Clock, runs: list[SeedRun]) -> SeedTable:
    table = SeedTable(stream=terminal, clock=clock)
    for seconds in range(4):
        clock.now += 30.0
        for run in runs[:2]:
            run.step += 3_000
        table.show(runs, [(1, f"step {seconds}: return 1")])
    return table


class TestTable:
    def test_a_terminal_has_one_table_below_what_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((80, 24)))
        terminal, runs = Terminal(), five()
        shown(terminal, Clock(), runs).close(runs)
        *_, last = terminal.getvalue().split("\x1b[6A\x1b[J")
        lines = last.splitlines()
        assert lines[0].split() == ["seed", "status", "step", "of", "score", "steps/s", "eta"]
        assert lines[1].split() == ["1", "running", "22,000", "1,000,000", "-123457", "100", "2h43m"]
        assert lines[3].split() == ["3", "failed", "5", "-", "-", "-", "-"]
        assert len(lines) == 6
        assert terminal.getvalue().count("seed 1: step 2: return 1\n") == 1
        assert max(map(len, terminal.getvalue().replace("\x1b[6A\x1b[J", "").splitlines())) < 80

    def test_a_low_terminal_shows_those_that_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((80, 5)))
        terminal, runs = Terminal(), list(reversed(five()))
        SeedTable(stream=terminal, clock=Clock()).show(runs, [])
        assert [line.split()[0] for line in terminal.getvalue().splitlines()] == ["seed", "2", "1", "and"]
        assert "and 3 more" in terminal.getvalue()

    def test_a_pipe_has_plain_lines(self) -> None:
        stream = io.StringIO()
        shown(stream, Clock(), five())
        assert "\x1b" not in stream.getvalue()
        assert "seeds: 2 waiting, 1 failed, 1 2%, 2 3%\n" in stream.getvalue()
        many, clock = io.StringIO(), Clock()
        table = SeedTable(stream=many, clock=clock)
        clock.now = 60.0
        table.show([SeedRun(seed, "running", step=1, steps=2) for seed in range(200)], [])
        assert max(map(len, many.getvalue().splitlines())) < 80

    def test_quiet_leaves_only_what_is_said(self) -> None:
        stream, clock = Terminal(), Clock()
        table = SeedTable(quiet=True, stream=stream, clock=clock)
        clock.now = 60.0
        table.show(five(), [(2, "warning: x")])
        assert stream.getvalue() == "seed 2: warning: x\n"


def ended(*runs: SeedRun) -> Seeds:
    seeds = Seeds({}, jobs=1)
    seeds.runs = list(runs)
    return seeds


class TestReport:
    def test_scores_are_those_of_the_seeds_that_are_done(self, capsys, tmp_path: Path) -> None:
        folder = RunFolder.create(tmp_path, "Toy-v0", "toy", Experiment({"seed": 0, "steps": 1}, {}), [])
        done = [SeedRun(seed, "done", folder, 9, 9, score=float(seed), code=0) for seed in range(4)]
        assert report(ended(*done), "g", [], as_json=True) == 0
        data = json.loads(capsys.readouterr().out)
        assert (data["score"]["iqm"], data["score"]["seeds"]) == (1.5, 4)
        failed = SeedRun(4, "failed", folder, 3, 9, score=1e9, error="no disk", code=1)
        with pytest.raises(RunError, match=r"seed 4 failed: no disk \(4 of 5 seeds are done\)") as caught:
            report(ended(*done, failed), "g", [], as_json=False)
        assert caught.value.hint == "advdl runs resume g"
        text = capsys.readouterr().out
        low, high = stratified_interval([[0.0, 1.0, 2.0, 3.0]])
        assert f"score: IQM 1.5, 95% {low:.6g} to {high:.6g}, over 4 seeds" in text
        assert max(map(len, text.splitlines())) <= 80
        diverged = SeedRun(5, "diverged", folder, 3, 9, error="NaN", code=5)
        with pytest.raises(DivergedError):
            report(ended(*done, diverged), "g", [], as_json=True)

    def test_a_refusal_is_the_seeds_own(self) -> None:
        with pytest.raises(UsageError, match="no option") as caught:
            report(
                ended(SeedRun(0, "failed", error="no option", hint="see", code=2), SeedRun(1)), "g", [], as_json=True
            )
        assert caught.value.hint == "see"


class TestGroups:
    @pytest.fixture
    def group(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunFolder]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.delenv("ADVDL_RUNS", raising=False)
        made = []
        for seed, group in ((1, "wide"), (0, "wide"), (0, "")):
            experiment = Experiment({"seed": seed, "steps": 9, "env": {"id": "CartPole-v1"}}, {})
            made.append(RunFolder.create(tmp_path / "runs", "CartPole-v1", "dqn", experiment, [], group=group))
            made[-1].append_evaluation(9, {"kind": "final", "score": 10.0 + seed})
            made[-1].write_status("done", step=9)
        return made

    def test_a_group_is_listed_together(self, group: list[RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["runs", "list"]) == 0
        _, alone, heading, *members = capsys.readouterr().out.splitlines()
        assert alone.startswith(group[2].id)
        assert heading.split() == ["group", "wide", "CartPole-v1", "dqn", "2", "done", "-", "10.5"]
        assert [line.split()[0] for line in members] == [group[1].id, group[0].id]
        assert main(["runs", "list", "--group", "wide", "--json"]) == 0
        assert {run["group"] for run in json.loads(capsys.readouterr().out)} == {"wide"}

    def test_a_group_that_is_done_is_not_resumed(self, group, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["runs", "resume", "wide"]) == 2
        assert "every run of group 'wide' is done" in capsys.readouterr().err

    def test_what_is_not_done_is_resumed_and_nothing_else(self, group, capsys: pytest.CaptureFixture[str]) -> None:
        group[1].write_status("interrupted", step=3)
        assert main(["runs", "resume", "wide", "--quiet"]) == 2
        captured = capsys.readouterr()
        assert "error: seed 0 failed: there is no checkpoint in " in captured.err  # the process says it for itself
        assert [line.split()[0] for line in captured.out.splitlines()[:2]] == ["seed", "0"]
