"""``advdl agent`` and ``advdl runs resume``, typed for real: what works, and every wrong input with its sentence."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from advdl.cli.app import main

SEE_RUNS = "see all runs: advdl runs list"

TINY = (
    "--steps 400 --set agent.backbone.units=[8] --set agent.buffer_size=200 --set agent.learning_starts=50 "
    "--set agent.batch_size=8 --set agent.train_every=8 --set agent.updates=1 --set env.num=8 --set trainer.jit=off "
    "--set log.every=100 --set evaluation.every=200 --set evaluation.episodes=3 --set evaluation.stop_at=never"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("ADVDL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def refused(line: str, capsys: pytest.CaptureFixture[str], code: int = 2) -> tuple[str, str]:
    """Types a line that is refused; returns the error and the hint."""
    assert main(shlex.split(line)) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    said = [text.split(": ", 1) for text in captured.err.splitlines() if text.startswith(("error: ", "hint: "))]
    assert [label for label, _ in said] == ["error", "hint"], captured.err
    return said[0][1], said[1][1]


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (
            "--env CartPol",
            "there is no env 'CartPol' (from --env CartPol)",
            "did you mean 'CartPole'? see them all: advdl env list",
        ),
        (
            "--env CartPole-v7",
            "there is no env 'CartPole-v7' (from --env CartPole-v7)",
            "did you mean 'CartPole-v1'? see them all: advdl env list",
        ),
        (
            "--env no_such_package:Env-v0",
            "the package 'no_such_package' of env 'no_such_package:Env-v0' cannot be imported: "
            "No module named 'no_such_package'",
            "is it installed?",
        ),
        (
            "--agent dqm",
            "there is no agent 'dqm' (from --agent dqm)",
            "did you mean 'dqn'? see them all: advdl plugins list --kind agent",
        ),
        (
            "--backbone mpl",
            "there is no backbone 'mpl' (from --backbone mpl)",
            "did you mean 'mlp'? see them all: advdl plugins list --kind backbone",
        ),
        (
            "--stepz 3",
            "advdl agent train has no option --stepz",
            "did you mean --steps? see: advdl agent train --help",
        ),
        (
            "--steps 0",
            "invalid value for '--steps': it must be greater than or equal to 1",
            "see: advdl agent train --help",
        ),
        (
            "--steps many",
            "invalid value for '--steps': it must be a valid integer",
            "see: advdl agent train --help",
        ),
        (
            "--seed -1",
            "invalid value for '--seed': it must be greater than or equal to 0",
            "see: advdl agent train --help",
        ),
        (
            "--set agent.gama=0.9",
            "agent has no option 'gama' (from --set agent.gama=0.9)",
            "did you mean 'gamma'? see its options: advdl plugins info agent:dqn",
        ),
        (
            "--set agent.gamma=1.5",
            "agent.gamma cannot be 1.5: it must be a number >= 0 and <= 1 (from --set agent.gamma=1.5)",
            "see its options: advdl plugins info agent:dqn",
        ),
        (
            "--set agent.gamma=high",
            "agent.gamma cannot be 'high': it must be a number >= 0 and <= 1 (from --set agent.gamma=high)",
            "see its options: advdl plugins info agent:dqn",
        ),
        (
            "--set agent.batch_size=0.5",
            "agent.batch_size cannot be 0.5: it must be a whole number > 0 (from --set agent.batch_size=0.5)",
            "see its options: advdl plugins info agent:dqn",
        ),
        (
            "--set agent.epsilon.name=linaer",
            "there is no schedule 'linaer' (from --set agent.epsilon.name=linaer)",
            "did you mean 'linear'? see them all: advdl plugins list --kind schedule",
        ),
        (
            "--set trainer.jit=maybe",
            "trainer.jit cannot be 'maybe': it must be one of 'auto', 'on', 'off' (from --set trainer.jit=maybe)",
            "see its options: advdl config keys",
        ),
        ("--set gamma", "--set gamma has no value", "write --set gamma=VALUE"),
        (
            "--config bad.toml",
            "config file bad.toml is not TOML: Invalid value (at line 1, column 9)",
            "see https://toml.io for the format",
        ),
        (
            "--config binary.toml",
            "config file binary.toml is not TOML: it is not UTF-8 text (at line 1)",
            "see https://toml.io for the format",
        ),
        (
            "--config unknown.toml",
            "there is no setting 'stepz' (from config file unknown.toml)",
            "did you mean 'steps'? see all settings: advdl config keys",
        ),
        (
            "--runs-dir occupied",
            "a run cannot be written to occupied: Not a directory",
            "--runs-dir DIR, or ADVDL_RUNS=DIR, writes elsewhere",
        ),
        (
            "--runs-dir /proc/runs",
            "a run cannot be written to /proc/runs: No such file or directory",
            "--runs-dir DIR, or ADVDL_RUNS=DIR, writes elsewhere",
        ),
    ],
)
def test_training_that_cannot_begin(
    words: str, error: str, hint: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.toml").write_text("steps = = 3\n")
    (folder / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (folder / "unknown.toml").write_text("stepz = 3\n")
    (folder / "occupied").write_text("a file")
    env = "" if "--env" in words else "--env CartPole "
    assert refused(f"agent train {env}{words}", capsys) == (error, hint)
    assert not (folder / "runs").exists()


def test_a_config_file_that_does_not_exist(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error, hint = refused("agent train --config absent.toml", capsys)
    assert error == "config file absent.toml does not exist"
    assert hint == f"looked for {folder / 'absent.toml'}"


def test_an_agent_that_cannot_act_in_the_env(capsys: pytest.CaptureFixture[str]) -> None:
    error, hint = refused("agent train --env Pendulum --agent dqn --quiet", capsys)
    assert error == "dqn needs a Discrete action space, not Box(-2.0, 2.0, (1,), float32)"
    assert hint == "agents and what they can do: advdl plugins list --kind agent"


@pytest.mark.parametrize("command", ["agent eval", "agent watch", "runs resume"])
class TestARunThatIsNone:
    def test_a_folder_that_is_not_a_runs(self, command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "empty").mkdir()
        error, hint = refused(f"{command} empty", capsys)
        assert (error, hint) == ("empty is not the folder of a run: it has no run.json", SEE_RUNS)

    def test_an_id_that_does_not_exist(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        error, hint = refused(f"{command} 20200101", capsys)
        assert error == "there is no run '20200101' in runs"
        assert hint == SEE_RUNS


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which a run has been trained, in this process."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["agent", "train", "--env", "CartPole", "--quiet", *shlex.split(TINY)]) == 0
    return folder


@pytest.fixture
def run(home: Path, folder: Path) -> Path:
    """A copy of the run, to be damaged at will; the working folder has it as ``runs/...``."""
    subprocess.run(["cp", "-r", home / "runs", folder / "runs"], check=True)
    (record,) = Path("runs").glob("*/*/*/run.json")
    return record.parent


def answer(line: str, capsys: pytest.CaptureFixture[str]) -> Any:
    """Types a line with --json; returns what it says."""
    assert main(shlex.split(f"{line} --json")) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


class TestTrain:
    def test_dry_run_trains_nothing_and_says_where_settings_come_from(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(shlex.split("agent train --env CartPole --set env.num=4 --seed 3 --dry-run")) == 0
        lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line}
        assert lines["seed"] == ["3", "command", "line"]
        assert lines["env.num"] == ["4", "command", "line"]
        assert lines["env.id"] == ['"CartPole-v1"', "command", "line"]
        assert not (folder / "runs").exists()

    def test_it_says_what_it_did_and_what_can_be_done_next(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(shlex.split(f"agent train --env CartPole {TINY} --seed 5")) == 0
        captured = capsys.readouterr()
        (record,) = Path("runs").glob("CartPole-v1/dqn/*/run.json")
        first, took, then, *commands = captured.out.splitlines()
        assert first.startswith("trained 400 steps; return ")
        assert first.endswith(" over 3 episodes")
        assert took.startswith("took ")
        assert then == "next:"
        assert [command.split(maxsplit=1)[1] for command in commands] == [
            f"advdl agent eval {record.parent}",
            f"advdl agent watch {record.parent}",
            f"advdl runs resume {record.parent} --steps 800",
            f"advdl tensorboard {record.parent}",
        ]
        assert f"run {record.parent}\n" in captured.err
        assert "step 200: return " in captured.err
        assert json.loads(record.read_text())["seed"] == 5


class TestEval:
    def test_the_best_the_last_and_any_other_checkpoint(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        best = next(run.glob("checkpoints/*/best")).parent.name
        found = answer(f"agent eval {run} --episodes 5", capsys)
        assert found["checkpoint"] == int(best.removeprefix("step-"))
        assert (found["env"], found["run"], found["episodes"]) == ("CartPole-v1", run.name, 5)
        assert len(found["returns"]) == 5
        assert found == answer("agent eval latest --episodes 5 --checkpoint best", capsys)
        assert found["returns"] != answer("agent eval latest --episodes 5 --seed 1", capsys)["returns"]
        assert answer("agent eval latest --episodes 2 --checkpoint last", capsys)["checkpoint"] == 400
        assert answer("agent eval latest --episodes 2 --checkpoint 400", capsys)["checkpoint"] == 400

    @pytest.mark.parametrize(
        ("checkpoint", "error"),
        [
            ("fisrt", "--checkpoint takes best, last or a step, not 'fisrt'"),
            ("123", "there is no checkpoint of step 123 in "),
        ],
    )
    def test_a_checkpoint_that_is_not_there(
        self, checkpoint: str, error: str, run: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(shlex.split(f"agent eval {run} --checkpoint {checkpoint}")) == 2
        assert f"error: {error}" in capsys.readouterr().err

    def test_without_any_checkpoint(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        subprocess.run(["rm", "-r", run / "checkpoints"], check=True)
        error, hint = refused(f"agent eval {run}", capsys)
        assert error == f"there is no checkpoint in {run / 'checkpoints'}"
        assert hint == "the run ended before its first"

    def test_damaged_checkpoints(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        steps = sorted(run.glob("checkpoints/step-*"))
        (steps[-1] / "state.index").write_bytes(b"")
        assert main(shlex.split(f"agent eval {run} --episodes 1 --checkpoint last")) == 0
        captured = capsys.readouterr()
        assert captured.err.count("warning: damaged in ") == 1
        assert "is used instead" in captured.err
        for step in steps:
            (step / "state.index").write_bytes(b"")
        assert main(shlex.split(f"agent eval {run} --checkpoint last")) == 3
        assert f"error: damaged in {run / 'checkpoints'}: step 400 (" in capsys.readouterr().err

    def test_settings_that_were_changed_by_hand(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (run / "experiment.toml").write_text((run / "experiment.toml").read_text().replace("gamma", "gama"))
        error, hint = refused(f"agent eval {run}", capsys, code=3)
        assert error == f"{run / 'experiment.toml'} was changed after the run wrote it"
        assert hint == "a run with other settings is a new run: advdl agent train --config FILE"


def test_watch_writes_a_video(run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(f"agent watch {run} --episodes 2 --video play.gif", capsys)
    assert len(found["returns"]) == 2
    assert found["video"] == "play.gif"
    assert (folder / "play.gif").read_bytes().startswith(b"GIF8")


class TestResume:
    def test_a_run_that_is_done(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        error, hint = refused(f"runs resume {run} --quiet", capsys)
        assert error == f"run {run.name} is done"
        assert hint == f"to train longer: advdl runs resume {run} --steps 800"

    def test_for_longer(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        found = answer(f"runs resume {run} --steps 600 --quiet", capsys)
        assert (found["status"], found["step"], found["steps"]) == ("done", 600, 600)

    def test_a_run_in_use(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        from advdl.experiment.run_folder import RunFolder

        with RunFolder(run).lock():
            error, hint = refused(f"runs resume {run} --steps 600 --quiet", capsys)
            assert error == f"run {run.name} is in use by process {os.getpid()}"
            assert hint == "wait for it, or stop it"
            answer(f"agent eval {run} --episodes 1", capsys)  # reading it is no trouble
