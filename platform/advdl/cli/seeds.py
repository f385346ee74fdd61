"""``--seeds``: the same command with several seeds, side by side, and what becomes of them."""

import datetime
import os
import re
import secrets
import shlex
import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advdl.cli.output import emit, table
from advdl.cli.words import command_words
from advdl.errors import AdvdlError, CorruptError, DivergedError, ExitCode, PluginError, RunError, UsageError

if TYPE_CHECKING:
    from advdl.experiment.run_folder import RunFolder
    from advdl.experiment.seeds import SeedRun, Seeds

SeedCount = Annotated[
    int | None,
    typer.Option("--seeds", min=1, help="Train so many seeds side by side, from --seed or 0 on.", show_default=False),
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Seeds that train at once; as many as there are cores when left out.", show_default=False),
]
Group = Annotated[str, typer.Option(help="A name that the run shares with those it belongs with.", show_default=False)]

_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ERRORS: Mapping[int, type[AdvdlError]] = {
    ExitCode.USAGE: UsageError,
    ExitCode.CORRUPT: CorruptError,
    ExitCode.PLUGIN: PluginError,
    ExitCode.DIVERGED: DivergedError,
}


def train_seeds(
    context: typer.Context,
    count: int,
    *,
    first: int | None,
    jobs: int | None,
    group: str,
    sets: Sequence[str] | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Carries the running command out with several seeds, one process each, and says how each of them ended.

    Args:
        context: The running command's.
        count: How many seeds.
        first: The first of them.
        jobs: How many train at once.
        group: The name that the runs share; made up when empty.
        sets: What followed each ``--set``.
        quiet: Whether to show no progress.
        as_json: Whether to print JSON.

    Returns:
        The exit code: that of the signal that stopped them, or 0.

    Raises:
        AdvdlError: Their settings are refused, or a seed failed; the others have gone on.
    """
    from advdl.experiment.seeds import Seeds

    _check(sets)
    group = checked_group(group) or f"seeds-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    alone: dict[str, Any] = {"seeds": None, "jobs": None, "group": group, "quiet": True}
    seeds = range(first or 0, (first or 0) + count)
    commands = {seed: command_words(context, **alone, seed=seed, as_json=True) for seed in seeds}
    found = Seeds(commands, jobs=jobs or _cores())
    watch(found, group, quiet=quiet)
    waiting = [run.seed for run in found.runs if run.status == "waiting"]
    rest = command_words(context, seed=waiting[0], seeds=len(waiting), group=group) if waiting else []
    return report(found, group, rest, as_json=as_json)


def resume_group(
    context: typer.Context, group: str, folders: Sequence["RunFolder"], *, jobs: int | None, quiet: bool, as_json: bool
) -> int:
    """Goes on with every run of a group that is not done, as ``train_seeds`` trains them.

    Raises:
        UsageError: All of them are done, or two have the same seed.
        AdvdlError: A seed failed; the others have gone on.
    """
    from advdl.experiment.seeds import Seeds

    runs = {folder.record().seed: folder for folder in folders if folder.status() != "done"}
    if not runs:
        raise UsageError(f"every run of group {group!r} is done", hint=f"advdl runs compare {group}")
    if len(runs) < sum(folder.status() != "done" for folder in folders):
        raise UsageError(f"group {group!r} has several runs with one seed", hint="resume them one by one")
    changed: dict[str, Any] = {"quiet": True, "as_json": True, "jobs": None}
    commands = {seed: command_words(context, **changed, run=str(folder.path)) for seed, folder in sorted(runs.items())}
    found = Seeds(commands, jobs=jobs or _cores(), folders=runs)
    watch(found, group, quiet=quiet)
    return report(found, group, [], as_json=as_json)


def watch(seeds: "Seeds", group: str, *, quiet: bool) -> None:
    """Trains the seeds and shows how they stand."""
    from advdl.cli.seed_table import SeedTable

    shown = SeedTable(quiet=quiet)
    shown.show([], [])
    typer.echo(f"group {group}", err=True)
    try:
        seeds.train(shown.show)
    finally:
        shown.close(seeds.runs)


def report(seeds: "Seeds", group: str, rest: Sequence[str], *, as_json: bool) -> int:
    """Prints how the seeds ended, and returns the exit code.

    Args:
        seeds: What was trained.
        group: Their group.
        rest: The command that trains the seeds which were not started, without ``advdl``.
        as_json: Whether to print JSON.

    Raises:
        AdvdlError: Their settings are refused, or a seed failed.
    """
    refused = [run for run in seeds.runs if run.refused]
    if refused and not any(run.folder for run in seeds.runs):
        raise _ERRORS[refused[0].code or 0](refused[0].error, hint=refused[0].hint)
    data = _data(seeds.runs, group, rest)
    emit(data, json=as_json, table=lambda: _text(data))
    if seeds.stopped_by is not None:
        raise _stopped(seeds, group)
    failed = [run for run in seeds.runs if run.status not in ("done", "waiting")]
    if failed:
        raise _failed(failed, seeds.runs, group)
    return int(ExitCode.DONE)


def checked_group(name: str) -> str:
    """Returns a group's name.

    Raises:
        UsageError: It cannot be one.
    """
    if name and (name == "latest" or not _GROUP.fullmatch(name)):
        raise UsageError(f"--group cannot be {name!r}: it has letters, digits, '.', '_' and '-'")
    return name


def _check(sets: Sequence[str] | None) -> None:
    if "TF_CONFIG" in os.environ:
        raise UsageError("--seeds cannot be combined with launch: workers share one run", hint="leave one of them out")
    if any(each.partition("=")[0].strip() == "seed" for each in sets or []):
        raise UsageError("--set seed=... cannot be combined with --seeds", hint="--seed 10 --seeds 5 trains 10 to 14")


def _cores() -> int:
    from advdl.experiment.provenance import cores

    return cores()


def _data(runs: Sequence["SeedRun"], group: str, rest: Sequence[str]) -> dict[str, Any]:
    scores = [run.score for run in runs if run.status == "done" and run.score is not None]
    unfinished = any(run.folder is not None and run.status != "done" for run in runs)
    commands = {"compare": f"advdl runs compare {group}", "list": f"advdl runs list --group {group}"}
    if unfinished:
        commands["resume"] = f"advdl runs resume {group}"
    if rest:
        commands["start"] = shlex.join(["advdl", *rest])
    return {
        "group": group,
        "seeds": [_of(run) for run in runs],
        "score": _summary(scores),
        "next": commands,
    }


def _of(run: "SeedRun") -> dict[str, Any]:
    return {
        "seed": run.seed,
        "status": run.status,
        "run": run.folder.id if run.folder else None,
        "folder": str(run.folder.path) if run.folder else None,
        "step": run.step,
        "score": run.score,
        "error": run.error if run.status in ("failed", "diverged") else "",
        "exit_code": run.code,
    }


def _summary(scores: Sequence[float]) -> dict[str, Any] | None:
    """Describes the scores of the seeds that are done."""
    if not scores:
        return None
    from advdl.rl.statistics import iqm, stratified_interval

    low, high = stratified_interval([scores], iqm)
    return {"seeds": len(scores), "iqm": float(iqm(scores)), "low": low, "high": high}


def _text(data: Mapping[str, Any]) -> str:
    rows = [[seed[key] for key in ("seed", "run", "status", "step", "score")] for seed in data["seeds"]]
    lines = [table(["seed", "run", "status", "step", "score"], rows)]
    if data["score"]:
        lines.append("score: IQM {iqm:.6g}, 95% {low:.6g} to {high:.6g}, over {seeds} seeds".format(**data["score"]))
    lines.append("next:")
    return "\n".join([*lines, *(f"  {purpose:9} {command}" for purpose, command in data["next"].items())])


def _stopped(seeds: "Seeds", group: str) -> AdvdlError:
    number = seeds.stopped_by or signal.SIGINT
    saved = sum(run.status == "interrupted" and run.step >= 0 and run.folder is not None for run in seeds.runs)
    error = RunError(
        f"stopped by {signal.Signals(number).name}; {saved} of {len(seeds.runs)} seeds can be resumed",
        hint=f"advdl runs resume {group}" if saved else "",
    )
    error.exit_code = ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED
    return error


def _failed(failed: Sequence["SeedRun"], runs: Sequence["SeedRun"], group: str) -> AdvdlError:
    done = sum(run.status == "done" for run in runs)
    each = "; ".join(f"seed {run.seed} {_verb(run)}: {run.error}" for run in failed)
    kinds = {_ERRORS.get(run.code or 0, RunError) for run in failed}
    kind = kinds.pop() if len(kinds) == 1 else RunError
    hint = f"advdl runs resume {group}" if any(run.folder for run in failed) else failed[0].hint
    return kind(f"{each} ({done} of {len(runs)} seeds are done)", hint=hint)


def _verb(run: "SeedRun") -> str:
    return "was interrupted" if run.status == "interrupted" else run.status
