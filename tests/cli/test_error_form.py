"""Every error is `error: sentence`, `hint: what next`, on standard error, with its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from advdl.cli.app import main
from advdl.cli.errors import report
from advdl.errors import CorruptError, DivergedError, PluginError, RunError, UsageError

MAIN = "import sys; from advdl.cli.app import main; sys.exit(main())"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["plugns"], "advdl has no command 'plugns'", "did you mean 'plugins'? see: advdl --help"),
        (
            ["plugins", "lst"],
            "advdl plugins has no command 'lst'",
            "did you mean 'list'? see: advdl plugins --help",
        ),
        (["--versio"], "advdl has no option --versio", "did you mean --version? see: advdl --help"),
        (
            ["plugins", "list", "--knd", "agent"],
            "advdl plugins list has no option --knd",
            "did you mean --kind? see: advdl plugins list --help",
        ),
        (
            ["plugins", "list", "--kind"],
            "option '--kind' requires an argument",
            "see: advdl --help",
        ),
        (["plugins", "info"], "missing argument 'name'", "see: advdl plugins info --help"),
        (["plugins", "list", "x"], "got unexpected extra arguments (x)", "see: advdl plugins list --help"),
        (
            ["plugins", "list", "--kind", "agnt"],
            "there is no kind of component 'agnt'",
            "did you mean 'agent'? see them all: advdl plugins list",
        ),
        (
            ["plugins", "info", "dqm"],
            "there is no plugin or component 'dqm'",
            "did you mean 'dqn'? see them all: advdl plugins list",
        ),
        (
            ["plugins", "new", "toy", "--kind", "backbon"],
            "there is no kind of plugin 'backbon'",
            "did you mean 'backbone'? see them all: advdl plugins new --help",
        ),
        (
            ["tensorboard", "--port", "many"],
            "invalid value for '--port': it must be a valid integer",
            "see: advdl tensorboard --help",
        ),
    ],
)
def test_wrong_usage(words: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {message}\nhint: {hint}\n"


@pytest.mark.parametrize("words", [[], ["plugins"]])
def test_without_a_command_the_help_is_shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(" ".join(["Usage: advdl", *words, "[OPTIONS]"]))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RunError("x"), 1),
        (UsageError("x"), 2),
        (CorruptError("x"), 3),
        (PluginError("x"), 4),
        (DivergedError("x"), 5),
    ],
)
def test_exit_codes(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(error, debug=False) == code
    assert capsys.readouterr().err == "error: x\n"


def test_a_bug_is_one_sentence_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KeyError("lost\nsecond line"), debug=False) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: unexpected KeyError: ")
    assert second.startswith("hint: ")
    assert "--debug" in second


@pytest.mark.parametrize("words", [["--debug", "plugins", "info", "dqm"], ["plugins", "info", "dqm", "--debug"]])
def test_debug_shows_the_traceback(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("Traceback (most recent call last):")
    assert "\nerror: there is no plugin or component 'dqm'\n" in error


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from advdl import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"advdl {__version__}\n"


def plugin_that(folder: Path, body: str) -> dict[str, str]:
    """Installs a plugin with a command that does something, and returns the environment to run it in."""
    source = [
        "from advdl.plugin import hookimpl",
        "@hookimpl",
        "def advdl_commands(app):",
        "    @app.command('act')",
    ]
    (folder / "acting.py").write_text("\n".join([*source, "    def act():", f"        {body}", ""]))
    (folder / "acting-1.0.dist-info").mkdir()
    (folder / "acting-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: acting\nVersion: 1.0\n")
    (folder / "acting-1.0.dist-info/entry_points.txt").write_text("[advdl]\nacting = acting\n")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.parametrize(
    ("body", "code", "error"),
    [
        ("raise KeyboardInterrupt", 130, ""),
        ("raise SystemExit(7)", 7, ""),
        ("return 3", 3, ""),
        ("import typer; raise typer.Exit(143)", 143, ""),
        (
            "raise OSError(28, 'No space left on device')",
            1,
            "error: unexpected OSError: [Errno 28] No space left on device",
        ),
    ],
)
def test_how_a_command_ends(tmp_path: Path, body: str, code: int, error: str) -> None:
    environment = plugin_that(tmp_path, body)
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "act"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(error)
    assert bool(done.stderr) == bool(error)


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    environment = plugin_that(tmp_path, "[print('x' * 1000) for _ in range(1000)]")
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, "act"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
