import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from advdl.cli.app import main
from advdl.cli.doctor import examine
from advdl.plugin.host import PluginHost


def test_a_healthy_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADVDL_RUNS", str(tmp_path / "not" / "yet"))
    assert main(["doctor", "--json"]) == 0
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert all(finding["ok"] for finding in findings.values())
    assert findings["python"]["detail"].startswith(sys.version.split()[0])
    assert "CPU:0" in findings["devices"]["detail"]
    assert findings["runs folder"]["detail"] == f"{tmp_path / 'not' / 'yet'} can be written"
    assert {"tensorflow", "keras", "compile cache", "plugin dqn"} <= set(findings)


def test_what_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = "from advdl.plugin import Check, hookimpl\n@hookimpl\ndef advdl_checks():\n"
    checks = "    yield Check('good', lambda: 'fine')\n    yield Check('bad', lambda: 1 / 0)\n"
    (tmp_path / "checking.py").write_text(hook + checks)
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("checking", "checking", "advdl"),
        EntryPoint("lost", "no_such_module_anywhere", "advdl"),
    ]
    (tmp_path / "file").write_text("")
    findings = {found.name: found for found in examine(PluginHost(points), tmp_path / "file" / "runs")}
    assert (findings["checking: good"].ok, findings["checking: good"].detail) == (True, "fine")
    assert (findings["checking: bad"].ok, findings["checking: bad"].detail) == (
        False,
        "ZeroDivisionError: division by zero",
    )
    assert not findings["plugin lost"].ok
    assert not findings["runs folder"].ok


def test_something_wrong_exits_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ADVDL_RUNS", str(tmp_path / "file" / "runs"))
    assert main(["doctor"]) == 1
