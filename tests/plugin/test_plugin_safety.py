"""What a plugin adds is seen before it runs, and the lists decide whether it does."""

import json
from pathlib import Path

import pytest
from plugin_packages import Packages, advdl, listed

from advdl.cli.app import main

NEVER = "raise SystemExit('its code must not run')"

TRACE = """
    from pathlib import Path
    TRACE = Path(__file__).with_name("trace.txt")

    def note(what):
        with TRACE.open("a") as file:
            file.write(what + " ")

    note("import")

    @hookimpl
    def advdl_components():
        note("components")
        return [Component("loss", "traced", "traced_code:Loss"), Component("env", "Traced-v0", "traced_code:Env")]

    @hookimpl
    def advdl_commands(app):
        note("commands")

    @hookimpl
    def advdl_checks():
        note("checks")

    @hookimpl
    def advdl_run_started(run):
        note("run")
"""


def traced(packages: Packages) -> Path:
    packages.add("traced", TRACE)
    (packages.folder / "traced_code.py").write_text("from traced import note\nnote('code')\nraise SystemExit")
    return packages.folder / "trace.txt"


def test_info_of_a_distribution_runs_nothing_of_it(packages: Packages) -> None:
    packages.add("strange-dist", NEVER, module="strange", plugin="stranger", contract="1")
    info = packages.folder / "strange_dist-1.2.3.dist-info"
    (info / "RECORD").write_text("strange.py,sha256=abc,123\nstart.pth,,7\n")
    with (info / "entry_points.txt").open("a") as file:
        file.write("[console_scripts]\nsurprise = strange:main\n")
    for name in ("strange-dist", "strange_dist", "stranger"):
        done = advdl("plugins", "info", name, "--json", path=packages.folder)
        assert (done.returncode, done.stderr) == (0, "")
        data = json.loads(done.stdout)
        facts = data["distribution"]
        assert (facts["name"], facts["version"], facts["plugins"]) == ("strange-dist", "1.2.3", ["stranger"])
        assert facts["files"] == [{"path": "start.pth", "size": 7}, {"path": "strange.py", "size": 123}]
        assert ["advdl", "stranger", "strange"] in facts["entry_points"]
        assert ["console_scripts", "surprise", "strange:main"] in facts["entry_points"]
        assert data["plugins"] == [
            {"name": "stranger", "status": "not imported", "entry_point": "strange", "contract": "1", "error": ""}
        ]
    text = advdl("plugins", "info", "stranger", path=packages.folder).stdout
    for part in ("strange-dist 1.2.3", "start.pth", "surprise", "strange:main", "nothing of it was imported"):
        assert part in text
    denied = advdl("--no-plugin", "stranger", "plugins", "info", "stranger", "--json", path=packages.folder)
    assert json.loads(denied.stdout)["plugins"][0]["status"] == "disabled"


def test_list_runs_the_module_and_two_hooks_and_no_more(packages: Packages) -> None:
    trace = traced(packages)
    for words in (("plugins", "list"), ("plugins", "list", "--json"), ("plugins", "list", "--kind", "loss")):
        assert advdl(*words, path=packages.folder).returncode == 0
        assert trace.read_text().split() == ["import", "components", "commands"]
        trace.unlink()
    assert advdl("plugins", "info", "traced", path=packages.folder).returncode == 0
    assert not trace.exists()


@pytest.mark.parametrize("fault", ["raise GeneratorExit", "class Odd(BaseException): pass\nraise Odd('odd')"])
def test_no_exception_of_a_plugin_ends_the_list(packages: Packages, fault: str) -> None:
    packages.add("bad", fault)
    assert listed(packages.folder)["bad"]["status"] == "failed"


def test_two_plugins_of_one_name_are_both_named_and_neither_runs(packages: Packages) -> None:
    packages.add("first-dist", NEVER, module="one", plugin="same")
    packages.add("second-dist", NEVER, module="two", plugin="same")
    done = advdl("plugins", "list", "--json", path=packages.folder)
    records = [plugin for plugin in json.loads(done.stdout)["plugins"] if plugin["name"] == "same"]
    assert {record["distribution"]: record["status"] for record in records} == {
        "first-dist": "failed",
        "second-dist": "failed",
    }
    for record in records:
        (other,) = {"first-dist", "second-dist"} - {record["distribution"]}
        assert f"another plugin is called 'same' too, of {other}; neither is loaded" in record["error"]
        assert f"advdl --no-plugin {other}" in record["error"]
    left = advdl("--no-plugin", "first-dist", "plugins", "list", "--json", path=packages.folder)
    errors = {each["distribution"]: each["error"] for each in json.loads(left.stdout)["plugins"]}
    assert errors["second-dist"] == "it called sys.exit('its code must not run')"


def test_the_lists_take_names_of_distributions(packages: Packages) -> None:
    packages.add("Some_Dist", NEVER, plugin="some")
    own = listed(packages.folder, ADVDL_PLUGINS="advdl")
    assert own["some"]["status"] == "disabled"
    assert {plugin["status"] for plugin in own.values() if plugin["distribution"] == "advdl"} == {"ok"}
    denied = listed(packages.folder, "--no-plugin", "some-dist", "--no-plugin", "advdl")
    assert {plugin["status"] for plugin in denied.values()} == {"disabled"}


def test_a_project_says_which_plugins_may_run(packages: Packages, tmp_path: Path) -> None:
    packages.add("good", "")
    packages.add("other", NEVER)
    project = tmp_path / "project"
    project.mkdir()

    def statuses(lists: str, **environment: str) -> dict[str, str]:
        (project / "advdl.toml").write_text(f"seed = 3\n[plugins]\n{lists}\n")
        done = advdl("plugins", "list", "--json", path=packages.folder, cwd=project, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        return {plugin["name"]: plugin["status"] for plugin in json.loads(done.stdout)["plugins"]}

    allowed = statuses('allow = ["advdl", "good"]')
    assert (allowed["good"], allowed["dqn"], allowed["other"]) == ("ok", "ok", "disabled")
    denied = statuses('deny = ["other", "not-installed-here"]')
    assert (denied["good"], denied["other"]) == ("ok", "disabled")
    overridden = statuses('allow = ["good"]\ndeny = ["dqn"]', ADVDL_PLUGINS="dqn,basics")
    assert (overridden["good"], overridden["dqn"], overridden["basics"]) == ("disabled", "disabled", "ok")
    missing = json.loads(
        advdl("plugins", "list", "--json", path=packages.folder, cwd=project, ADVDL_PLUGINS="godo").stdout
    )
    assert "the allow-list names it, but it is not installed; did you mean 'good'?" in str(missing)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[plugins]\nallow = 'good'", "plugins.allow in advdl.toml must be a list of names, not 'good'"),
        ("[plugins]\nalow = []", "[plugins] in advdl.toml has no setting 'alow'"),
        ("plugins = 3", "plugins in advdl.toml must be a table"),
        ("[plugins", "advdl.toml cannot be read: "),
    ],
)
def test_lists_that_cannot_be_read_load_nothing(packages: Packages, tmp_path: Path, text: str, message: str) -> None:
    packages.add("good", NEVER)
    (tmp_path / "advdl.toml").write_text(text)
    done = advdl("plugins", "list", path=packages.folder, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")


def test_the_lists_are_no_setting_of_an_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "advdl.toml").write_text('seed = 3\n[plugins]\nallow = ["advdl"]\n')
    monkeypatch.chdir(tmp_path)
    assert main(["agent", "train", "--env", "CartPole", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["experiment"]["seed"] == 3
