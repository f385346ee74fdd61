"""What ``advdl runs list``, ``show`` and ``compare`` tell."""

import dataclasses
import datetime
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from advdl.cli.output import table
from advdl.errors import CorruptError
from advdl.experiment.config import flatten
from advdl.experiment.find_runs import FoundRun
from advdl.experiment.next_commands import next_commands
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.toml import format_value
from advdl.training.stopwatch import shares

_STYLES = {"failed": "red", "diverged": "red", "damaged": "red", "interrupted": "yellow", "running": "green"}
_FIGURES = (
    "step",
    "kind",
    "episodes",
    "return/mean",
    "return/std",
    "return/iqm",
    "return/low",
    "return/high",
)


def select(
    runs: Iterable[FoundRun],
    *,
    env: str | None,
    agent: str | None,
    status: str | None,
    tag: str | None = None,
    group: str | None = None,
) -> list[FoundRun]:
    """Returns the runs that fit; ``CartPole`` fits ``CartPole-v1``."""
    return [
        run
        for run in runs
        if status in (None, run.status)
        and (env is None or (run.record is not None and _is_env(run.record.env, env)))
        and (agent is None or (run.record is not None and run.record.agent == agent))
        and (tag is None or (run.record is not None and tag in run.record.tags))
        and (group is None or (run.record is not None and run.record.group == group))
    ]


def list_data(runs: Iterable[FoundRun]) -> list[dict[str, Any]]:
    """Returns what a listing has of each run."""
    return [_listed(run) for run in runs]


def list_table(data: Sequence[Mapping[str, Any]]) -> str:
    """Lays the listing out in 80 columns, so that ids stay whole; the runs of a group stand under its newest one."""
    rows, styles = [], []
    for name, runs in _by_group(data):
        if name:
            env, trained = (_common(runs, key) for key in ("env", "agent"))
            rows.append([f"group {name}", _narrow(env), trained, _standing(runs), None, _middle(runs)])
            styles.append("bold")
        rows += [
            [run["id"], _narrow(run["env"]), run["agent"], run["status"], run["step"], run["score"]] for run in runs
        ]
        styles += [_STYLES.get(run["status"], "") for run in runs]
    return table(["run", "on", "trained", "status", "step", "score"], rows, styles=styles)


def show_data(folder: RunFolder) -> dict[str, Any]:
    """Returns all there is to tell of a run.

    Raises:
        CorruptError: A file of it is damaged.
    """
    record, status = folder.record(), folder.status()
    return {
        "folder": str(folder.path),
        **dataclasses.asdict(record),
        "status": status,
        "evaluation": folder.last_evaluation(),
        "checkpoints": sorted(entry.name for entry in folder.checkpoints.glob("step-*")),
        "experiment": folder.config(),
        "next": list(next_commands(folder, done=status == "done").values()),
    }


def show_text(data: Mapping[str, Any]) -> str:
    """Lays a run out for people."""
    rows = [
        ["run", data["id"]],
        ["folder", data["folder"]],
        *([["group", data["group"]]] if data["group"] else []),
        ["status", f"{data['status']}{': ' + data['error'] if data['error'] else ''}"],
        ["experiment", f"{data['agent']} on {data['env']}, seed {data['seed']}"],
        ["steps", f"{data['step']} of {data['steps']}"],
        ["time", _times(data)],
        ["spent", _spent(data["seconds"])],
        ["evaluation", _evaluation_line(data["evaluation"])],
        ["checkpoints", ", ".join(data["checkpoints"]) or None],
        ["tags", ", ".join(data["tags"]) or None],
        ["command", " ".join(data["command"]) or None],
        ["versions", ", ".join(f"{name} {version}" for name, version in data["versions"].items()) or None],
        ["git", _git_line(data["git"])],
        ["machine", ", ".join(f"{key} {value}" for key, value in data["machine"].items()) or None],
        ["next", "\n".join(data["next"])],
    ]
    return table(["", ""], rows).lstrip("\n")


def compare_data(folders: Sequence[RunFolder]) -> dict[str, Any]:
    """Returns the settings that differ between runs, and the last evaluation of each.

    Raises:
        CorruptError: A file of a run is damaged.
    """
    settings = [flatten(folder.config()) for folder in folders]
    keys = dict.fromkeys(key for setting in settings for key in setting)
    rows = {key: [setting.get(key) for setting in settings] for key in keys}
    return {
        "runs": [_compared(folder) for folder in folders],
        "differences": {key: row for key, row in rows.items() if any(value != row[0] for value in row)},
    }


def compare_text(data: Mapping[str, Any]) -> str:
    """Lays a comparison out: the evaluations, then the settings that differ."""
    rows = [
        [f"{number}: {run['id']}", run["status"], *_figures(run["evaluation"])]
        for number, run in enumerate(data["runs"], start=1)
    ]
    evaluations = table(["run", "status", "step", "episodes", "mean", "IQM", "95% of the mean"], rows)
    if not data["differences"]:
        return f"{evaluations}\n\nall settings are equal"
    numbers = [str(number) for number in range(1, len(rows) + 1)]
    settings = [[key, *map(_value, values)] for key, values in data["differences"].items()]
    return f"{evaluations}\n\n{table(['setting', *numbers], settings)}"


def _listed(run: FoundRun) -> dict[str, Any]:
    record, evaluation, problem = run.record, None, run.problem
    try:
        evaluation = run.folder.last_evaluation()
    except CorruptError as error:  # one bad file must not hide the other runs
        problem = problem or error.message
    return {
        "id": run.folder.id,
        "env": record.env if record else None,
        "agent": record.agent if record else None,
        "seed": record.seed if record else None,
        "group": record.group if record else "",
        "status": run.status,
        "step": record.step if record else None,
        "steps": record.steps if record else None,
        "return": (evaluation or {}).get("return/mean"),
        "score": _score(evaluation),
        "created": record.created if record else None,
        "folder": str(run.folder.path),
        "problem": problem,
    }


def _by_group(data: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Puts the runs of a group where its newest one is, by seed; a run of no group stays alone."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for run in data:
        found.setdefault(f"group/{run['group']}" if run["group"] else f"run/{run['folder']}", []).append(run)
    return [
        (runs[0]["group"], sorted(runs, key=lambda run: (run["env"], run["seed"])) if runs[0]["group"] else runs)
        for runs in found.values()
    ]


def _common(runs: Sequence[Mapping[str, Any]], key: str) -> str | None:
    found = {run[key] for run in runs}
    return found.pop() if len(found) == 1 else None


def _standing(runs: Sequence[Mapping[str, Any]]) -> str:
    """Says how many runs stand how: ``4 done, 1 failed``."""
    statuses = [run["status"] for run in runs]
    return ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))


def _middle(runs: Sequence[Mapping[str, Any]]) -> float | None:
    """Returns the median score of runs in one env; it needs no numpy, which a listing does without."""
    scores = [run["score"] for run in runs if run["score"] is not None and run["score"] == run["score"]]
    return statistics.median(scores) if scores and len({run["env"] for run in runs}) == 1 else None


def _score(evaluation: Mapping[str, Any] | None) -> Any:
    """Returns what a run is judged by; runs of before scores were written have a mean return."""
    return None if evaluation is None else evaluation.get("score", evaluation.get("return/mean"))


def _narrow(name: str | None) -> str | None:
    return None if name is None else "\n".join(textwrap.wrap(name, 14))


def _compared(folder: RunFolder) -> dict[str, Any]:
    evaluation = folder.last_evaluation()
    figures = None if evaluation is None else {key: evaluation.get(key) for key in _FIGURES}
    return {"id": folder.id, "folder": str(folder.path), "status": folder.status(), "evaluation": figures}


def _figures(evaluation: Mapping[str, Any] | None) -> list[Any]:
    if evaluation is None:
        return [None] * 5
    return [
        *(evaluation.get(key) for key in ("step", "episodes", "return/mean", "return/iqm")),
        _interval(evaluation),
    ]


def _interval(evaluation: Mapping[str, Any]) -> str | None:
    low, high = evaluation.get("return/low"), evaluation.get("return/high")
    return None if low is None or high is None else f"{low:.6g} to {high:.6g}"


def _evaluation_line(evaluation: Mapping[str, Any] | None) -> str | None:
    if evaluation is None:
        return None
    if "text" in evaluation and "return/mean" not in evaluation:
        return f"{evaluation['text']}, at step {evaluation['step']}"
    step, episodes, mean, iqm, interval = _figures(evaluation)
    figures = [
        f"mean return {mean:.6g}" if isinstance(mean, int | float) else "",
        f"95% interval {interval}" if interval else "",
        f"IQM {iqm:.6g}" if isinstance(iqm, int | float) else "",
        f"{episodes} episodes" if episodes is not None else "",
    ]
    return f"{', '.join(filter(None, figures))} at step {step}"


def _git_line(git: Mapping[str, Any] | None) -> str | None:
    if git is None:
        return None
    return f"{git.get('commit')}{' with uncommitted changes' if git.get('dirty') else ''}"


def _times(data: Mapping[str, Any]) -> str:
    moments = [(name, data[name]) for name in ("created", "started", "ended") if data[name]]
    return ", ".join(f"{name} {_moment(text)}" for name, text in moments)


def _spent(seconds: Mapping[str, float]) -> str | None:
    return f"{sum(seconds.values()):.1f} s: {shares(seconds)}" if seconds else None


def _moment(text: str) -> str:
    try:
        return f"{datetime.datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return text


def _is_env(env: str, wanted: str) -> bool:
    return env.casefold() == wanted.casefold() or env.casefold().startswith(f"{wanted.casefold()}-v")


def _value(value: Any) -> str | None:
    return None if value is None else format_value(value)
