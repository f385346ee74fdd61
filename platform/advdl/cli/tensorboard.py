"""``advdl tensorboard``: serves the runs folder on this machine's loopback address."""

import contextlib
import io
import os
import socket
import sys
import threading
import types
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from advdl.cli.output import emit
from advdl.errors import ExitCode, UsageError
from advdl.experiment.find_runs import runs_root

app = typer.Typer()

_HOST = "127.0.0.1"


@app.command()
def tensorboard(
    run: Annotated[
        str | None,
        typer.Argument(
            help="A run's folder, its id or 'latest', or a sweep's folder; all runs when left out.", show_default=False
        ),
    ] = None,
    runs_dir: Annotated[
        Path | None,
        typer.Option(help="Where the runs are; ADVDL_RUNS or ./runs when left out.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port; 6006 or the next free one when left out.", show_default=False),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the address as JSON.")] = False,
) -> None:
    """Show the runs' curves in TensorBoard, until Ctrl-C."""
    folder = _folder(run, runs_root(runs_dir, os.environ))
    try:
        url = serve(folder, port)
        emit({"url": url, "folder": str(folder)}, json=as_json, table=url)
        sys.stdout.flush()
        typer.echo(f"TensorBoard shows {folder}; Ctrl-C stops it", err=True)
        if open_browser:
            webbrowser.open(url)
        threading.Event().wait()
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def serve(folder: Path, port: int | None) -> str:
    """Starts TensorBoard in a thread of this process and returns its address.

    Raises:
        UsageError: The port is taken or not allowed.
    """
    if port is not None:
        _check_free(port)  # TensorBoard only looks when it has loaded everything else
    _without_tensorflow()
    from tensorboard import program

    server = program.TensorBoard()
    server.configure(logdir=str(folder), host=_HOST, port=port)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # an advertisement for its data server
            return str(server.launch())
    except program.TensorBoardServerException as error:
        raise UsageError(f"TensorBoard cannot be served: {error.msg}") from error


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        # As servers do: a port that was just left counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be used: {error.strerror}",
                hint="leave --port out to take the next free one",
            ) from error


def _without_tensorflow() -> None:
    """Makes TensorBoard use its own stub: it needs no TensorFlow, whose import takes seconds.

    ``tensorboard.compat`` looks for a module of this name; builds of TensorBoard without TensorFlow have it.
    """
    name = "tensorboard.compat.notf"
    sys.modules.setdefault(name, types.ModuleType(name))


def _folder(run: str | None, root: Path) -> Path:
    if run is not None:
        from advdl.experiment.run_folder import RunFolder

        is_sweep = (Path(run) / "sweep.toml").is_file()
        root = Path(run) if is_sweep else RunFolder.open(run, root).path
    if not root.is_dir() or next(root.rglob("events.out.tfevents.*"), None) is None:
        raise UsageError(
            f"there are no curves to show in {str(root)!r}",
            hint="advdl agent train --env CartPole makes some; --runs-dir DIR looks elsewhere",
        )
    return root
