"""A wheel of advdl and one of each example, installed into one fresh environment: listed, checked, trained with."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fresh_environment import FreshEnvironment

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
OFFERED = {
    ("agent", "sarsa"),
    ("backbone", "gated_mlp"),
    ("layer", "gate"),
    ("loss", "huber_tail"),
    ("tracker", "sqlite"),
}
QUICK = ["--steps", "1500", "--set", "evaluation.episodes=3", "--set", "evaluation.every=0", "--json", "--quiet"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    """The four wheels, installed."""
    folder = tmp_path_factory.mktemp("examples")
    wheels = [build(source, folder / "wheels" / source.name) for source in (ROOT, *EXAMPLES)]
    fresh = FreshEnvironment(folder / "venv")
    fresh.run("pip", "install", "-q", "--ignore-installed", *map(str, wheels), cwd=folder)
    return fresh


def build(source: Path, folder: Path) -> Path:
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(words, cwd=source, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_they_are_third_parties() -> None:
    """They import what is public: none of advdl's rooms above the conformance kit, none of its plugins."""
    assert len(EXAMPLES) == 3
    for path in (path for example in EXAMPLES for path in example.rglob("*.py")):
        text = path.read_text()
        assert [name for name in ("advdl.experiment", "advdl.cli", "advdl_basics", "advdl_dqn") if name in text] == []
        assert "advdl.testing" not in text or path.parent.name == "tests", path


def test_the_wheels_are_what_is_used(environment: FreshEnvironment, tmp_path: Path) -> None:
    code = "import advdl, advdl_dqn, advdl_sarsa; print(advdl.__file__, advdl_dqn.__file__, advdl_sarsa.__file__)"
    for file in environment.run("python", "-c", code, cwd=tmp_path).stdout.split():
        assert file.startswith(str(environment.folder))


def test_everything_is_listed(environment: FreshEnvironment, tmp_path: Path) -> None:
    plugins = json.loads(environment.run("advdl", "plugins", "list", "--json", cwd=tmp_path).stdout)["plugins"]
    theirs = [plugin for plugin in plugins if plugin["distribution"] != "advdl"]
    assert {plugin["distribution"] for plugin in theirs} == {example.name for example in EXAMPLES}
    assert {(plugin["status"], plugin["contract"], *plugin["problems"]) for plugin in theirs} == {("ok", "1")}
    assert {(each["kind"], each["name"]) for plugin in theirs for each in plugin["components"]} == OFFERED
    assert {plugin["status"] for plugin in plugins} == {"ok"}
    facts = json.loads(environment.run("advdl", "plugins", "info", "advdl-gated", "--json", cwd=tmp_path).stdout)
    files = [file["path"] for file in facts["distribution"]["files"]]
    assert {"advdl_gated/layer.py", "advdl_gated/loss.py", "advdl_gated/plugin.py"} <= set(files)


def test_every_contract_is_kept(environment: FreshEnvironment, tmp_path: Path) -> None:
    """One process: TensorFlow starts once."""
    done = environment.run("advdl", "plugins", "check", "sarsa", "gated", "sqlite", "--json", cwd=tmp_path)
    results = json.loads(done.stdout)
    assert {(result["kind"], result["name"]) for result in results} == OFFERED
    assert {(result["status"], result["reason"]) for result in results} == {("kept", "")}


def train(environment: FreshEnvironment, folder: Path, *words: str) -> dict[str, Any]:
    done = environment.run("advdl", "agent", "train", "--env", "CartPole", *words, *QUICK, cwd=folder)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_an_agent_is_trained_with_each(environment: FreshEnvironment, tmp_path: Path) -> None:
    """The agent, the backbone, the loss and the tracker in one run."""
    database = tmp_path / "all.sqlite"
    sets = ["agent.loss.name=huber_tail", "agent.loss.tail=3", f"trackers.sqlite.file={json.dumps(str(database))}"]
    words = ["--agent", "sarsa", "--backbone", "gated_mlp", *(word for text in sets for word in ("--set", text))]
    result = train(environment, tmp_path, *words)
    assert result["step"] >= 1500
    settings = (tmp_path / result["folder"] / "experiment.toml").read_text()
    for name in ("sarsa", "gated_mlp", "huber_tail"):
        assert f'name = "{name}"' in settings
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT id, status FROM runs").fetchall() == [(result["run"], "done")]
        losses = connection.execute("SELECT COUNT(*) FROM figures WHERE name LIKE '%q/loss'").fetchone()
        checkpoints = connection.execute("SELECT COUNT(*) FROM checkpoints").fetchone()
    connection.close()
    assert losses[0] > 0
    assert checkpoints[0] > 0


def test_the_layer_goes_into_a_built_in_backbone(environment: FreshEnvironment, tmp_path: Path) -> None:
    sets = ["agent.backbone.units=[16]", "agent.backbone.layer.name=gate", "agent.backbone.layer.openness=1.5"]
    result = train(environment, tmp_path, *(word for text in sets for word in ("--set", text)))
    settings = (tmp_path / result["folder"] / "experiment.toml").read_text()
    assert "openness = 1.5" in settings
