"""What ``advdl runs compare`` tells of groups of runs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.cli.output import table, to_json
from advdl.errors import RunError
from advdl.experiment.config import flatten
from advdl.experiment.toml import format_value

if TYPE_CHECKING:
    from advdl.experiment.groups import RunGroup

JSON_NAME = "comparison.json"


def groups_data(groups: Sequence["RunGroup"], out: Path | None, warn: Callable[[str], None]) -> dict[str, Any]:
    """Compares groups, and draws their curves where ``out`` is a folder.

    Args:
        groups: Groups of runs; their names differ.
        out: Where the curves and the comparison itself are written, or None.
        warn: Told which runs are left out, and which groups mix settings.

    Raises:
        UsageError: A group has nothing to compare, or matplotlib is missing.
        CorruptError: A file of a run is damaged.
        RunError: The folder cannot be written.
    """
    from advdl.experiment.comparison import compare, judge, score_name

    judged = []
    for group in groups:
        found, left_out = judge(group)
        judged.append(found)
        for sentence in [*left_out, *_mixed(group)]:
            warn(sentence)
    data = {
        "groups": [group.name for group in groups],
        "score": score_name(judged),
        **compare(judged),
        "differences": _differences(groups),
        "files": [],
    }
    if out is not None:
        from advdl.experiment.curve_pictures import save_curves

        data["files"] = [str(file) for file in (*save_curves(judged, out), out / JSON_NAME)]
        _write(out / JSON_NAME, to_json(data) + "\n")
    return data


def groups_text(data: Mapping[str, Any]) -> str:
    """Lays the comparison out in 80 columns: env by env, together, who is better, what differs."""
    parts = [_env_table(env, found, data["score"]) for env, found in data["envs"].items()]
    parts += _together(data["together"]) + _improvements(data["improvement"])
    if data["differences"]:
        rows = [[key, *values] for key, values in data["differences"].items()]
        parts.append(table(["setting", *data["groups"]], rows))
    parts += ["\n".join(f"written: {file}" for file in data["files"])] if data["files"] else []
    return "\n\n".join(parts)


def _env_table(env: str, groups: Mapping[str, Any], score: str) -> str:
    rows = [[name, *_figures(found)] for name, found in groups.items()]
    text = table(["group", "seeds", "IQM", "95% interval", "mean"], rows)
    runs = [[run["seed"], name, run["run"], run["score"]] for name, found in groups.items() for run in found["runs"]]
    return f"{env}, {score}\n{text}\n\n{table(['seed', 'group', 'run', 'score'], runs)}"


def _figures(found: Mapping[str, Any]) -> list[Any]:
    return [found["count"], found["iqm"], f"{found['low']:.6g} to {found['high']:.6g}", found["mean"]]


def _together(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return []
    rows = [[name, *_figures(figures)] for name, figures in found["groups"].items()]
    lines = ["all envs together; in each, 0 is the lowest and 1 the highest of the scores"]
    lines += [table(["group", "runs", "IQM", "95% interval", "mean"], rows)] if rows else []
    lines += [f"{name} has no runs in some of the envs" for name in found["left_out"]]
    return ["\n".join(lines)]


def _improvements(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [pair["better"], pair["than"], f"{pair['probability']:.2f}", f"{pair['low']:.2f} to {pair['high']:.2f}"]
        for pair in pairs
        if pair["probability"] is not None
    ]
    return [table(["a run of", "beats a run of", "probability", "95% interval"], rows)] if rows else []


def _settings(group: "RunGroup") -> dict[str, dict[str, list[str]]]:
    """Returns the values that each setting but the seed has in a group, as they are written, by env."""
    found: dict[str, dict[str, list[str]]] = {}
    for folder in group.folders:
        settings = found.setdefault(folder.record().env, {})
        for key, value in flatten(folder.config()).items():
            if key != "seed" and format_value(value) not in settings.setdefault(key, []):
                settings[key].append(format_value(value))
    return found


def _mixed(group: "RunGroup") -> list[str]:
    """Says where runs that count as seeds of one experiment are several experiments."""
    return [
        f"{group.name} mixes runs in {env} that differ in {', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}"
        for env, settings in _settings(group).items()
        if (keys := [key for key, values in settings.items() if len(values) > 1])
    ]


def _differences(groups: Sequence["RunGroup"]) -> dict[str, list[Any]]:
    """Returns the settings that differ between groups in the first env that they share; None where there is none."""
    settings = [_settings(group) for group in groups]
    shared = next((env for env in settings[0] if all(env in each for each in settings)), None)
    if shared is None:
        return {}
    tables = [each[shared] for each in settings]
    rows = {key: [" | ".join(each.get(key, [])) or None for each in tables] for each in tables for key in each}
    return {key: row for key, row in rows.items() if any(value != row[0] for value in row)}


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}") from error
