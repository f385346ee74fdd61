import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advdl.cli.app import main
from advdl.experiment.config import Experiment
from advdl.experiment.run_folder import RunFolder

DATA: dict[str, Any] = {
    "seed": 0,
    "steps": 50_000,
    "env": {"id": "CartPole-v1"},
    "agent": {"name": "dqn", "gamma": 0.99, "backbone": {"name": "mlp", "units": [128, 128]}},
}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunFolder]:
    monkeypatch.delenv("ADVDL_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(mean: float | None = None, env: str = "CartPole-v1", agent: str = "dqn", settings: Any = None) -> RunFolder:
        experiment = Experiment({**DATA, **(settings or {})}, {})
        folder = RunFolder.create(tmp_path / "runs", env, agent, experiment, ["advdl", "agent", "train"])
        if mean is not None:
            figures = {
                "return/mean": mean,
                "return/iqm": mean + 1,
                "return/low": mean - 2,
                "return/high": mean + 2,
            }
            folder.append_evaluation(50, {"kind": "final", "episodes": 100, "returns": [mean], **figures})
        return folder

    return run


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["runs", *arguments]) == 0
    captured = capsys.readouterr()
    return captured.out


class TestList:
    def test_table(self, make: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
        first, second = make(475.5), make(env="advdl/MinAtar-Breakout-v0", settings={"seed": 2_000_000_000})
        (make().path / "run.json").write_text("{")
        assert main(["runs", "list"]) == 0
        captured = capsys.readouterr()
        assert "run.json cannot be read" in captured.err
        text = captured.out
        lines = text.splitlines()
        assert lines[0].split() == ["run", "on", "trained", "status", "step", "score"]
        assert max(map(len, lines)) <= 80
        assert any(line.startswith(first.id) and line.endswith("475.5") for line in lines)
        assert text.index(second.id[:17]) < text.index(first.id)
        assert "damaged" in text

    def test_json_and_filters(self, make: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
        run, other = make(400.0), make(env="Taxi-v3", agent="ppo")
        with other.lock():
            other.write_status("running", step=5)
            data = json.loads(output(capsys, "list", "--json"))
            assert [entry["id"] for entry in data] == [other.id, run.id]
            assert data[0]["status"] == "running"
            assert (data[1]["return"], data[1]["steps"]) == (400.0, 50_000)
        for arguments, expected in (
            (["--env", "cartpole"], [run.id]),
            (["--agent", "ppo"], [other.id]),
            (["--status", "interrupted"], [other.id]),
            (["--env", "Taxi-v3", "--agent", "dqn"], []),
        ):
            found = json.loads(output(capsys, "list", "--json", *arguments))
            assert [entry["id"] for entry in found] == expected

    def test_places(
        self,
        make: Callable[..., RunFolder],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        run = make()
        monkeypatch.setenv("ADVDL_RUNS", str(tmp_path / "elsewhere"))
        assert json.loads(output(capsys, "list", "--json")) == []
        found = json.loads(output(capsys, "list", "--json", "--runs-dir", str(tmp_path / "runs")))
        assert found[0]["folder"] == str(run.path)

    def test_wrong_status(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["runs", "list", "--status", "dome"]) == 2
        assert "did you mean 'done'" in capsys.readouterr().err


class TestShow:
    def test_text_and_json(self, make: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
        run = make(475.5)
        text = output(capsys, "show", "latest")
        for part in (
            run.id,
            "mean return 475.5",
            "dqn on CartPole-v1, seed 0",
            "advdl runs resume",
            "0 of 50000",
        ):
            assert part in text
        assert max(map(len, text.splitlines())) <= 80
        data = json.loads(output(capsys, "show", run.id, "--json"))
        assert data["experiment"]["agent"]["gamma"] == 0.99
        assert data["evaluation"]["return/mean"] == 475.5
        assert data["versions"]["numpy"]

    @pytest.mark.parametrize(("file", "code"), [("run.json", 3), ("experiment.toml", 3), ("evaluations.jsonl", 3)])
    def test_damaged(
        self, make: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str], file: str, code: int
    ) -> None:
        run = make()
        (run.path / file).write_text("{\n")
        assert main(["runs", "show", str(run.path)]) == code
        captured = capsys.readouterr()
        assert file in captured.err
        assert captured.out == ""

    def test_not_a_run(
        self, make: Callable[..., RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["runs", "show", str(tmp_path)]) == 2
        assert "advdl runs list" in capsys.readouterr().err


class TestCompare:
    def test_differences(self, make: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
        agent = {**DATA["agent"], "backbone": {"name": "resnet", "depth": 3}}
        first, second = make(400.0), make(settings={"agent": agent, "seed": 1})
        data = json.loads(output(capsys, "compare", first.id, second.id, "--json"))
        assert data["differences"] == {
            "seed": [0, 1],
            "agent.backbone.name": ["mlp", "resnet"],
            "agent.backbone.units": [[128, 128], None],
            "agent.backbone.depth": [None, 3],
        }
        assert data["runs"][0]["evaluation"]["return/low"] == 398.0
        assert data["runs"][1]["evaluation"] is None
        text = output(capsys, "compare", first.id, second.id)
        assert "398 to 402" in text
        assert "seed" in text
        assert max(map(len, text.splitlines())) <= 80
        assert "all settings are equal" in output(capsys, "compare", first.id, first.id)

    def test_one_run(self, make: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["runs", "compare", make().id]) == 2
        assert "cannot be compared" in capsys.readouterr().err


def test_no_heavy_imports(make: Callable[..., RunFolder]) -> None:
    run = make(475.5)
    code = (
        "import sys; from advdl.cli.app import main\n"
        f"for words in (['list'], ['show', {run.id!r}], ['compare', {run.id!r}, {run.id!r}]):\n"
        "    assert main(['runs', *words]) == 0\n"
        "heavy = {'tensorflow', 'keras', 'torch', 'numpy', 'gymnasium'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_in_use_is_not_resumed(make: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
    run = make()
    with run.lock():
        assert main(["runs", "resume", run.id, "--quiet"]) == 2
    captured = capsys.readouterr()
    assert f"error: run {run.id} is in use by process {os.getpid()}" in captured.err
    assert captured.out == ""
    assert run.record().status == "created"
