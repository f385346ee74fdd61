"""Ten ways in which a plugin is wrong: it is named with the reason, and everything else works."""

import json
from typing import Any

import pytest
from plugin_packages import Packages, advdl, listed

GOOD = """
    import typer

    @hookimpl
    def advdl_components():
        yield Component("loss", "good-loss", "keras.losses:MeanSquaredError", "a good one")

    @hookimpl
    def advdl_commands(app: typer.Typer):
        @app.command("good-command")
        def good() -> None:
            print("it works")
"""

COMPONENTS = """
    @hookimpl
    def advdl_components():
        return [Component("loss", "bad-loss", "keras.losses:MeanSquaredError")]
"""

FAILING = {
    "import error": (
        "import no_such_module_anywhere",
        "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
    ),
    "syntax error": ("def broken(:", "SyntaxError: invalid syntax"),
    "exit on import": ("raise SystemExit(7)", "sys.exit(7)"),
    "hook raises": (
        """
        @hookimpl
        def advdl_components():
            raise RuntimeError("no luck today")
        """,
        "advdl_components: RuntimeError: no luck today",
    ),
    "misspelt hook": (
        """
        @hookimpl
        def advdl_component():
            return []
        """,
        "there is no hook 'advdl_component'; did you mean 'advdl_components'?",
    ),
    "wrong argument": (
        """
        @hookimpl
        def advdl_commands(application):
            pass
        """,
        "advdl_commands(application); Argument(s) {'application'} are declared",
    ),
    "generator raises half-way": (
        """
        @hookimpl
        def advdl_components():
            yield Component("loss", "bad-loss", "keras.losses:MeanSquaredError")
            raise ValueError("only half")
        """,
        "advdl_components: ValueError: only half",
    ),
}


def others_work(packages: Packages, plugins: dict[str, dict[str, Any]]) -> None:
    assert plugins["good"]["status"] == "ok"
    assert [component["name"] for component in plugins["good"]["components"]] == ["good-loss"]
    assert {name for name, plugin in plugins.items() if plugin["status"] == "ok"} >= {
        "dqn",
        "tensorboard",
        "good",
    }
    command = advdl("good-command", path=packages.folder)
    assert (command.returncode, command.stdout, command.stderr) == (0, "it works\n", "")


@pytest.mark.parametrize("fault", FAILING)
def test_a_broken_plugin_is_named_with_its_reason(packages: Packages, fault: str) -> None:
    source, reason = FAILING[fault]
    packages.add("good", GOOD)
    packages.add("bad", source)
    plugins = listed(packages.folder)
    bad = plugins["bad"]
    assert (bad["status"], bad["distribution"], bad["version"]) == ("failed", "bad", "1.2.3")
    assert reason in bad["error"]
    assert "\n" not in bad["error"]
    assert bad["components"] == []
    others_work(packages, plugins)


def test_a_name_clash_names_both_and_neither_wins(packages: Packages) -> None:
    packages.add("good", GOOD)
    packages.add("bad", COMPONENTS)
    packages.add("worse", COMPONENTS)
    plugins = listed(packages.folder)
    for name, other in (("bad", "worse"), ("worse", "bad")):
        assert plugins[name]["status"] == "ok"
        assert plugins[name]["problems"] == [
            f"its loss 'bad-loss' cannot be used: plugin '{other}' offers one of that name too"
        ]
    used = advdl("plugins", "check", "loss:bad-loss", "--json", path=packages.folder)
    assert used.returncode == 4
    assert "the loss 'bad-loss' is offered by the plugins 'bad' and 'worse'" in used.stdout
    others_work(packages, plugins)


def test_a_missing_extra_is_listed_with_its_pip_line(packages: Packages) -> None:
    packages.add("good", GOOD)
    packages.add(
        "bad",
        """
        @hookimpl
        def advdl_components():
            extra = {"requires": ("no_such_module_anywhere",), "extra": "bad[heavy]"}
            return [Component("loss", "bad-loss", "bad_code:Loss", "needs an extra", **extra)]
        """,
    )
    plugins = listed(packages.folder)
    bad = plugins["bad"]
    assert (bad["status"], bad["problems"]) == ("ok", [])
    assert bad["components"][0]["missing"] == ["no_such_module_anywhere"]
    assert bad["components"][0]["install"] == "pip install 'bad[heavy]'"
    assert "pip install 'bad[heavy]'" in advdl("plugins", "list", path=packages.folder).stdout
    others_work(packages, plugins)


def test_what_a_plugin_prints_does_not_reach_stdout(packages: Packages) -> None:
    packages.add("good", GOOD)
    packages.add("bad", 'print("hello from the plugin")\n' + COMPONENTS.replace("\n    ", "\n"))
    plugins = listed(packages.folder)  # the JSON is clean
    bad = plugins["bad"]
    assert bad["problems"] == ["it prints to stdout (on import): 'hello from the plugin'"]
    assert [component["name"] for component in bad["components"]] == ["bad-loss"]
    assert "hello" not in advdl("--help", path=packages.folder).stdout
    others_work(packages, plugins)


def test_all_faults_at_once(packages: Packages) -> None:
    packages.add("good", GOOD)
    for index, (source, _) in enumerate(FAILING.values()):
        packages.add(f"bad-{index}", source)
    plugins = listed(packages.folder)
    failed = [name for name, plugin in plugins.items() if plugin["status"] == "failed"]
    assert sorted(failed) == [f"bad-{index}" for index in range(len(FAILING))]
    others_work(packages, plugins)
    help_text = advdl("--help", path=packages.folder)
    assert (help_text.returncode, help_text.stderr) == (0, "")
    assert "good-command" in help_text.stdout
    table = advdl("plugins", "list", path=packages.folder)
    assert table.returncode == 0
    assert "failed" in table.stdout


def test_strict_mode_refuses_to_go_on(packages: Packages) -> None:
    packages.add("bad", "import no_such_module_anywhere")
    done = advdl("plugins", "info", "agent:dqn", path=packages.folder, ADVDL_STRICT_PLUGINS="1")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: plugin 'bad' has a problem: ModuleNotFoundError")
    assert "\nhint: leave it out with --no-plugin bad" in done.stderr
    assert listed(packages.folder, ADVDL_STRICT_PLUGINS="1")["bad"]["status"] == "failed"
    assert advdl("--help", path=packages.folder, ADVDL_STRICT_PLUGINS="1").returncode == 0


def test_a_command_that_uses_plugins_warns_of_a_broken_one(packages: Packages) -> None:
    packages.add("bad", "import no_such_module_anywhere")
    done = advdl("plugins", "info", "tracker:tensorboard", "--json", path=packages.folder)
    assert done.returncode == 0
    assert json.loads(done.stdout)["components"][0]["name"] == "tensorboard"
    assert done.stderr.startswith("warning: plugin 'bad' is left out: ModuleNotFoundError: ")


def test_lists_apply_before_anything_is_loaded(packages: Packages) -> None:
    packages.add("good", GOOD)
    packages.add("bad", "raise SystemExit(7)")
    denied = listed(packages.folder, "--no-plugin", "bad", "--no-plugin", "dqn")
    assert (denied["bad"]["status"], denied["dqn"]["status"], denied["good"]["status"]) == (
        "disabled",
        "disabled",
        "ok",
    )
    allowed = listed(packages.folder, ADVDL_PLUGINS="good, goood")
    assert {name for name, plugin in allowed.items() if plugin["status"] == "ok"} == {"good"}
    assert allowed["bad"]["status"] == "disabled"
    assert "did you mean 'good'?" in allowed["goood"]["error"]
    none = listed(packages.folder, ADVDL_PLUGINS="")
    assert {plugin["status"] for plugin in none.values()} == {"disabled"}


def test_the_deny_list_refuses_an_unknown_name(packages: Packages) -> None:
    packages.add("good", GOOD)
    done = advdl("--no-plugin", "goood", "plugins", "list", path=packages.folder)
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: there is no plugin 'goood'\nhint: did you mean 'good'? see them all: advdl plugins list\n"
    )
