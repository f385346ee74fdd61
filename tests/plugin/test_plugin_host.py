import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import typer
from plugin_packages import Packages
from typer.testing import CliRunner

from advdl.errors import PluginError, UsageError
from advdl.plugin.host import PluginHost

TOY = """
    from typing import Annotated
    from annotated_types import Gt, Interval
    from advdl.plugin import Choice, Factory, Part

    class Inner:
        def __init__(self, *, size: Annotated[int, Gt(0)] = 3):
            self.size = size

    class Outer:
        "A toy.\\n\\nArgs:\\n    part: What is inside.\\n    rate: How fast.\\n    shape: How large."
        def __init__(
            self,
            *given,
            part: Annotated[Factory, Part("layer")] = Choice("inner", {"size": 5}),
            other: Annotated[Factory, Part("layer")] | None = None,
            rate: Annotated[float, Interval(gt=0, le=1)] = 0.5,
            shape: tuple[int, ...] = (1, 2),
        ):
            if shape == (9, 9):
                raise ValueError("nine times nine is too much")
            if shape == (0,):
                raise KeyError("a bug")
            self.given, self.part, self.other, self.rate, self.shape = given, part(), other, rate, shape

    @hookimpl
    def advdl_components():
        yield Component("layer", "inner", "toy:Inner")
        yield Component("agent", "outer", "toy:Outer", "a toy")
        yield Component("agent", "lost", "toy:Nowhere")
        yield Component("agent", "bare", "toy:Inner", requires=("no_such_module_anywhere", "json"))
        yield Component("agent", "heavy", "toy_heavy:Agent")
"""


def host_of(*names: str, **options: Any) -> PluginHost:
    return PluginHost([EntryPoint(name, name.replace("-", "_"), "advdl") for name in names], **options)


@pytest.fixture
def toy(packages: Packages) -> PluginHost:
    packages.add("toy", TOY)
    (packages.folder / "toy_heavy.py").write_text("raise SystemExit('not here')")
    return host_of("toy")


def test_components_are_found_and_nothing_is_imported(toy: PluginHost) -> None:
    assert [component.name for component in toy.components("agent")] == ["bare", "heavy", "lost", "outer"]
    assert toy.get("layer", "inner").target == "toy:Inner"
    assert "toy_heavy" not in sys.modules


def test_resolve_fills_in_every_default_as_plain_data(toy: PluginHost) -> None:
    expected = {
        "name": "outer",
        "part": {"name": "inner", "size": 5},
        "other": None,
        "rate": 0.5,
        "shape": [1, 2],
    }
    assert toy.resolve("agent", "outer") == expected
    chosen = toy.resolve("agent", {"name": "outer", "part": "inner", "other": {"name": "inner"}, "rate": 1})
    assert chosen["part"] == {"name": "inner", "size": 3}
    assert chosen["other"] == {"name": "inner", "size": 3}
    assert toy.resolve("agent", chosen) == chosen


def test_build_gives_typed_options_and_factories(toy: PluginHost) -> None:
    built = toy.build(
        "agent", {"name": "outer", "shape": [4, 5], "rate": 1, "part": {"name": "inner", "size": 8}}, "space"
    )
    assert (built.given, built.part.size, built.other, built.shape) == (("space",), 8, None, (4, 5))
    assert isinstance(built.rate, float)


@pytest.mark.parametrize(
    ("raw", "message", "hint"),
    [
        ("ouer", "there is no agent 'ouer'", "did you mean 'outer'?"),
        ({"name": "outer", "rat": 1}, "agent has no option 'rat'", "did you mean 'rate'?"),
        (
            {"name": "outer", "rate": 2},
            "agent.rate cannot be 2: it must be a number > 0 and <= 1",
            "plugins info agent:outer",
        ),
        ({"name": "outer", "rate": "2"}, "agent.rate cannot be '2': it must be a number > 0 and <= 1", ""),
        ({"name": "outer", "rate": True}, "agent.rate cannot be True: it must be a number", ""),
        (
            {"name": "outer", "shape": [1, 2.5]},
            "agent.shape cannot be [1, 2.5]: it must be a list of whole numbers",
            "",
        ),
        ({"name": "outer", "part": 3}, "agent.part cannot be 3: it must be a layer", ""),
        ({"name": "outer", "part": "iner"}, "there is no layer 'iner'", "did you mean 'inner'?"),
        (
            {"name": "outer", "part": {"name": "inner", "size": 0}},
            "agent.part.size cannot be 0: it must be a whole number > 0",
            "",
        ),
        ({"rate": 2}, "agent needs a name: which agent?", "advdl plugins list --kind agent"),
        (7, "agent cannot be 7: it must be the name of one", ""),
        (
            {"name": "outer", "shape": [9, 9]},
            "agent 'outer' refuses what it was built with: ValueError: nine times nine",
            "",
        ),
        (
            "bare",
            "agent 'bare' needs no_such_module_anywhere, which is not installed",
            "pip install no_such_module_anywhere json",
        ),
    ],
)
def test_wrong_settings_are_one_sentence(toy: PluginHost, raw: Any, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        toy.build("agent", raw)
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("lost", "agent 'lost' cannot be loaded from 'toy:Nowhere'"),
        ("heavy", "agent 'heavy' cannot be loaded from 'toy_heavy:Agent': it called sys.exit('not here')"),
        ({"name": "outer", "shape": [0]}, "agent 'outer' cannot be built: KeyError: 'a bug'"),
    ],
)
def test_broken_components_are_the_plugins_fault(toy: PluginHost, raw: Any, message: str) -> None:
    with pytest.raises(PluginError, match="agent") as caught:
        toy.build("agent", raw)
    assert caught.value.message.startswith(message)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("offer", "reason"),
    [
        ('["mlp"]', "TypeError: it offers 'mlp', which is not a Component"),
        ('[Component("agnt", "x", "m:X")]', "'x' is of the unknown kind 'agnt'; did you mean 'agent'?"),
        ('[Component("agent", "x y", "m:X")]', "'x y' is no name for a component"),
        ('[Component("agent", "x", "m.X")]', "'x' needs a target 'module:Attr', not 'm.X'"),
        ('[Component("agent", "x", "m:X"), Component("agent", "x", "m:Y")]', "it offers agent 'x' twice"),
        ("None", "'NoneType' object is not iterable"),
    ],
)
def test_malformed_components_fail_their_plugin(packages: Packages, offer: str, reason: str) -> None:
    packages.add("odd", f"\n@hookimpl\ndef advdl_components():\n    return {offer}\n")
    (record,) = host_of("odd").plugins
    assert record.status == "failed"
    assert reason in record.error


def test_a_hook_without_its_marker_is_a_problem(packages: Packages) -> None:
    packages.add("unmarked", "\ndef advdl_components():\n    return []\n")
    (record,) = host_of("unmarked").plugins
    assert record.problems == ["its advdl_components is not called: it lacks @hookimpl"]


COMMANDS = """
    @hookimpl
    def advdl_commands(app):
        @app.command("{name}")
        def command() -> None:
            print("{text}")
"""


def test_commands_are_added_and_clashes_left_out(packages: Packages) -> None:
    packages.add("one", COMMANDS.format(name="mine", text="one"))
    packages.add("two", COMMANDS.format(name="shared", text="two"))
    packages.add("three", COMMANDS.format(name="shared", text="three"))
    packages.add("four", COMMANDS.format(name="agent", text="four"))
    packages.add(
        "five",
        "\n@hookimpl\ndef advdl_commands(app):\n    app.command('early')(print)\n    raise OSError('late')\n",
    )
    host, app = host_of("one", "two", "three", "four", "five"), typer.Typer()
    app.callback()(lambda: None)
    host.add_commands(app, reserved=["agent"])
    assert [info.name for info in app.registered_commands] == ["mine"]
    assert CliRunner().invoke(app, ["mine"]).output == "one\n"
    problems = {record.name: record.problems for record in host.plugins}
    assert problems["two"] == ["its command 'shared' cannot be used: plugin 'three' offers one of that name too"]
    assert problems["four"] == ["its command 'agent' is left out: advdl has a command of that name"]
    assert problems["five"] == ["its commands are left out: advdl_commands: OSError: late"]
    with pytest.raises(PluginError, match="offered by the plugins 'three' and 'two'"):
        host.require_command("shared")


def test_checks_are_collected_and_a_broken_hook_becomes_a_failing_check(packages: Packages) -> None:
    packages.add("fine", "\n@hookimpl\ndef advdl_checks():\n    yield Check('server', lambda: 'it answers')\n")
    packages.add("broken", "\n@hookimpl\ndef advdl_checks():\n    raise OSError('no server')\n")
    checks = dict(host_of("fine", "broken").checks())
    assert checks["fine"].run() == "it answers"
    with pytest.raises(PluginError, match="OSError: no server"):
        checks["broken"].run()


def test_run_implementations_are_the_modules_with_a_run_hook(packages: Packages) -> None:
    packages.add("watcher", "\n@hookimpl\ndef advdl_metrics(step, metrics):\n    pass\n")
    packages.add("idle", "")
    ((name, module),) = host_of("watcher", "idle").run_implementations()
    assert (name, module) == ("watcher", sys.modules["watcher"])


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UsageError, match="there is no kind of component 'agnt'"):
        PluginHost([]).get("agnt", "x")


def test_strict_mode_raises_for_a_problem(packages: Packages) -> None:
    packages.add("noisy", "print('hello')")
    with pytest.raises(PluginError, match="plugin 'noisy' has a problem: it prints to stdout"):
        host_of("noisy", strict=True)
