import json
from pathlib import Path

import pytest

from advdl.cli.app import main

PLUGIN = '''
from typing import Annotated
from annotated_types import Gt
from advdl.plugin import Component, hookimpl


class Dqn:
    """An agent.

    Args:
        gamma: Discount factor.
    """

    def __init__(self, spaces, *, gamma: Annotated[float, Gt(0)] = 0.99, goal: str = "far"): ...


class Adam:
    """An optimizer."""

    def __init__(self, *, learning_rate: float = 0.001): ...


@hookimpl
def advdl_components():
    return [Component("agent", "dqn", "config_toy:Dqn"), Component("optimizer", "adam", "config_toy:Adam")]
'''


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs a plugin as pip would, and leaves every other one out."""
    site, work = tmp_path / "site", tmp_path / "work"
    metadata = site / "config_toy-1.0.dist-info"
    metadata.mkdir(parents=True)
    work.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: config-toy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[advdl]\nconfig-toy = config_toy\n")
    (site / "config_toy.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("ADVDL_PLUGINS", "config-toy")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(work)


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["config", *arguments]) == 0
    return capsys.readouterr().out


class TestShow:
    def test_values_and_origins(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        Path("advdl.toml").write_text("seed = 3")
        Path("mine.toml").write_text("agent.goal = 'near'")
        monkeypatch.setenv("ADVDL_STEPS", "9")
        arguments = ("show", "--env", "Acrobot", "--set", "agent.gamma=0.5", "--config", "mine.toml")
        data = json.loads(output(capsys, *arguments, "--json"))
        assert data["experiment"]["agent"] == {"name": "dqn", "gamma": 0.5, "goal": "near"}
        assert data["experiment"]["env"]["id"] == "Acrobot-v1"
        origins = {
            "seed": "advdl.toml",
            "steps": "ADVDL_STEPS",
            "agent.gamma": "command line",
            "agent.goal": "config file mine.toml",
            "log.every": "default",
        }
        assert {key: data["origins"][key] for key in origins} == origins
        lines = output(capsys, *arguments).splitlines()
        assert any(line.split() == ["agent.gamma", "0.5", "command", "line"] for line in lines)
        assert max(map(len, lines)) <= 80

    @pytest.mark.parametrize(
        ("arguments", "sentence", "hint"),
        [
            (["--set", "agent.gama=1"], "agent has no option 'gama' (from --set agent.gama=1)", "'gamma'"),
            (["--env", "CratPole"], "CratPole", "CartPole"),
            (["--agent", "dqm"], "there is no agent 'dqm' (from --agent dqm)", "'dqn'"),
            (["--seed", "x"], "valid integer", "--help"),
            (["--config", "none.toml"], "config file none.toml does not exist", "none.toml"),
        ],
    )
    def test_wrong(self, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str, hint: str) -> None:
        assert main(["config", "show", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        error, hinted = captured.err.splitlines()
        assert sentence in error
        assert hint in hinted


class TestKeys:
    def test_all(self, capsys: pytest.CaptureFixture[str]) -> None:
        data = {entry["key"]: entry for entry in json.loads(output(capsys, "keys", "--json"))}
        assert data["seed"]["constraint"] == ">= 0 and <= 2147483647"
        assert data["trainer.clip_norm"]["default"] == 10.0
        assert data["agent.name"]["default"] == "dqn"
        for entry in data.values():
            assert entry["description"]
            assert entry["type"]
        text = output(capsys, "keys")
        assert "evaluation.episodes = 100\n    episodes of an evaluation" in text
        assert max(map(len, text.splitlines())) <= 80

    def test_one_section(self, capsys: pytest.CaptureFixture[str]) -> None:
        keys = [entry["key"] for entry in json.loads(output(capsys, "keys", "checkpoint", "--json"))]
        fields = ("every_seconds", "max_share", "keep_last", "keep_best")
        assert keys == [f"checkpoint.{field}" for field in fields]
        assert "agent.name" in output(capsys, "keys", "agent")

    def test_a_component(self, capsys: pytest.CaptureFixture[str]) -> None:
        gamma, goal = json.loads(output(capsys, "keys", "agent.dqn", "--json"))
        assert (gamma["key"], gamma["default"], gamma["constraint"]) == ("agent.gamma", 0.99, "> 0")
        assert gamma["description"] == "Discount factor."
        assert goal["key"] == "agent.goal"

    @pytest.mark.parametrize(
        ("name", "guess"), [("trainr", "'trainer'"), ("agent.dqm", "'dqn'"), ("agnet.dqn", "'agent'")]
    )
    def test_wrong(self, capsys: pytest.CaptureFixture[str], name: str, guess: str) -> None:
        assert main(["config", "keys", name]) == 2
        assert f"did you mean {guess}" in capsys.readouterr().err


def test_path(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("advdl.toml").write_text("")
    monkeypatch.setenv("ADVDL_SEED", "5")
    data = {entry["place"]: entry["state"] for entry in json.loads(output(capsys, "path", "--json"))}
    assert data[str(Path.cwd() / "advdl.toml")] == "read"
    assert data["variable ADVDL_SEED"] == "5"
    assert data["variable ADVDL_PLUGINS"] == "config-toy"
    assert "ADVDL_SEED" in output(capsys, "path", "--config", "absent.toml")


def test_help_explains_how_to_write_settings(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "show", "--help")
    for part in ("ADVDL_AGENT__GAMMA", "--set", "advdl.toml", "recipe"):
        assert part in text
