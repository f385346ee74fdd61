"""What ``advdl sweep show`` tells people."""

from collections.abc import Mapping, Sequence
from typing import Any

from advdl.cli.output import table
from advdl.experiment.toml import format_value

_STYLES = {"failed": "red", "pruned": "dim", "interrupted": "yellow", "running": "green"}
_SHOWN = 20


def sweep_text(data: Mapping[str, Any]) -> str:
    """Lays a sweep out: what it is, its best trials, what matters, what to do next."""
    target = "" if data["target"] is None else f" {data['target']:g}"
    lines = [
        f"sweep {data['name']}: {data['finished']} trials finished, {data['objective']}{target}, "
        f"sampler {data['sampler']}, pruner {data['pruner']}",
        data["command"],
        "",
        _trials(data["trials"], higher=data["objective"] == "score"),
    ]
    if data["importance"]:
        rows = [[key, f"{share:.2f}"] for key, share in data["importance"].items()]
        lines += ["", table(["setting", "importance"], rows)]
    best = data["best"]
    if best is not None:
        lines += ["", f"best: trial {best['number']}, {_value(best)}", f"  again     {best['command']}"]
        lines += [f"  its run   advdl runs show {best['run']}"] if best["run"] else []
    lines += [f"plot: {path}" for path in data["plots"]]
    lines += [f"  curves    advdl tensorboard {data['folder']}"] if best is not None else []
    return "\n".join(lines)


def _trials(trials: Sequence[Mapping[str, Any]], *, higher: bool) -> str:
    sign = -1.0 if higher else 1.0
    ranked = sorted(trials, key=lambda trial: (trial["value"] is None, sign * (trial["value"] or 0.0), trial["number"]))
    rows = [[trial["number"], trial["state"], _value(trial), _settings(trial)] for trial in ranked[:_SHOWN]]
    text = table(["trial", "state", "value", "settings"], rows, styles=[_STYLES.get(row[1], "") for row in rows])
    left = len(ranked) - len(rows)
    return text if left <= 0 else f"{text}\n... and {left} more: --json"


def _value(trial: Mapping[str, Any]) -> str | None:
    if trial["value"] is None:
        return None
    return f"{trial['value']:.6g}{' (not reached)' if trial['reached'] is False else ''}"


def _settings(trial: Mapping[str, Any]) -> str:
    shown = (f"{key.rpartition('.')[2]}={_short(value)}" for key, value in trial["params"].items())
    return " ".join(shown) + (f"\n{trial['problem']}" if trial["state"] == "failed" else "")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else format_value(value)
