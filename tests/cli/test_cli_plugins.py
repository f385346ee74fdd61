import json

import pytest

from advdl.cli.app import main
from advdl.plugin.component import KINDS


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 0
    return capsys.readouterr().out


def test_list_shows_the_built_in_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(ask(capsys, "plugins", "list", "--json"))
    dqn = next(plugin for plugin in data["plugins"] if plugin["name"] == "dqn")
    assert (dqn["status"], dqn["distribution"], dqn["entry_point"]) == ("ok", "advdl", "advdl_dqn.plugin")
    assert [(found["kind"], found["name"]) for found in dqn["components"]] == [("agent", "dqn"), ("agent", "rainbow")]
    text = ask(capsys, "plugins", "list")
    assert "deep Q-learning" in text
    assert max(map(len, text.splitlines())) <= 80


def test_list_of_a_kind(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(ask(capsys, "plugins", "list", "--kind", "schedule", "--json"))
    kinds = {found["kind"] for plugin in data["plugins"] for found in plugin["components"]}
    assert kinds == {"schedule"}


def test_info_of_a_plugin_and_its_component(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(ask(capsys, "plugins", "info", "dqn", "--json"))
    assert [plugin["name"] for plugin in data["plugins"]] == ["dqn"]
    (agent,) = data["components"]
    options = {option["name"]: option for option in agent["options"]}
    assert options["gamma"] == {
        "name": "gamma",
        "type_name": "a number",
        "constraint": ">= 0 and <= 1",
        "default": 0.99,
        "required": False,
        "doc": "Discount factor.",
        "part": "",
    }
    assert options["backbone"]["part"] == "backbone"


def test_info_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = ask(capsys, "plugins", "info", "schedule:linear")
    assert "required" in text
    assert "The value at the first step." in " ".join(text.split())


def test_check_passes_the_built_in_schedules(capsys: pytest.CaptureFixture[str]) -> None:
    results = json.loads(ask(capsys, "plugins", "check", "schedule:linear", "--json"))
    assert results == [{"kind": "schedule", "name": "linear", "status": "kept", "reason": "", "page": ""}]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_has_a_check_and_a_contract_that_exist(kind: object) -> None:
    import importlib

    for target in (kind.contract, kind.check):  # type: ignore[attr-defined]
        module, _, name = target.partition(":")
        assert getattr(importlib.import_module(module), name)
