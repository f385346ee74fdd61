"""Learning curves as pictures, PNG and SVG, drawn with matplotlib (extra ``plot``)."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import RunError, UsageError
from advdl.experiment.comparison import Judged, curves, score_name, step_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("curves.png", "curves.svg")

# Okabe and Ito's colours, which people tell apart however they see colours; dashes serve print in grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_DASHES = ("-", "--", "-.", ":")
_STYLE: Any = {"font.size": 11.0, "svg.fonttype": "none", "svg.hashsalt": "advdl", "axes.unicode_minus": False}

# At the size of _STYLE, about; and the letters that a line's sample in the legend takes.
_LETTERS_PER_INCH = 11
_HANDLE = 7


def save_curves(groups: Sequence[Judged], folder: Path) -> list[Path]:
    """Draws a panel an env, a line a group: the interquartile mean over seeds, its 95% interval shaded.

    Args:
        groups: What is compared.
        folder: Where ``curves.png`` and ``curves.svg`` go; it is made if it is not there.

    Returns:
        The files.

    Raises:
        UsageError: matplotlib is not installed, or no run was evaluated during training.
        RunError: The files cannot be written.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise UsageError(
            "curves are drawn with matplotlib, which is not installed", hint="pip install 'advdl[plot]'"
        ) from error
    with rc_context(_STYLE):
        figure = _figure(groups)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in NAMES:
                figure.savefig(folder / name, dpi=150, metadata={"Date": None} if name.endswith("svg") else None)
        except OSError as error:
            raise RunError(f"the curves cannot be written to {folder}: {error.strerror}") from error
    return [folder / name for name in NAMES]


def _figure(groups: Sequence[Judged]) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    envs = [env for env in dict.fromkeys(env for group in groups for env in group.runs) if _has_curve(groups, env)]
    if not envs:
        raise UsageError("no run was evaluated during training, so there are no curves", hint="set evaluation.every")
    columns = min(len(envs), 3)
    rows = math.ceil(len(envs) / columns)
    figure = Figure(figsize=(5.2 * columns + 0.6, 3.8 * rows + 0.7), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for env, panel in zip(envs, panels, strict=False):
        _draw(panel, groups, env)
        panel.set_xlabel(step_name(groups))
        panel.set_ylabel(f"{score_name(groups)} (IQM, 95% interval)")
    for panel in list(figure.axes)[len(envs) :]:
        panel.set_visible(False)
    handles = _handles(figure)
    longest = max(map(len, handles), default=1) + _HANDLE
    columns = max(int(figure.get_figwidth() * _LETTERS_PER_INCH) // longest, 1)
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), columns), frameon=False
    )
    return figure


def _has_curve(groups: Sequence[Judged], env: str) -> bool:
    return any(run.curve.size for group in groups for run in group.runs.get(env, ()))


def _draw(panel: "Axes", groups: Sequence[Judged], env: str) -> None:
    for index, group in enumerate(groups):
        curve = curves(group, env)
        if curve is None:
            continue
        colour, dash = _COLOURS[index % len(_COLOURS)], _DASHES[index // len(_COLOURS) % len(_DASHES)]
        label, marker = group.name.replace("$", r"\$"), "o" if len(curve.steps) == 1 else ""
        panel.plot(curve.steps, curve.middle, color=colour, linestyle=dash, marker=marker, linewidth=1.8, label=label)
        panel.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
    seeds = {len(group.runs[env]) for group in groups if env in group.runs}
    count = f"{min(seeds)}" if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}"
    panel.set_title(f"{env} ({count} {'seed' if seeds == {1} else 'seeds'})")
    panel.xaxis.set_major_formatter(_short_number)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def _handles(figure: "Figure") -> dict[str, Any]:
    """Returns each group's line once, whichever panel it is in."""
    found: dict[str, Any] = {}
    for panel in figure.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return found


def _short_number(value: float, position: float) -> str:
    """Writes ``20k`` and ``1.5M``: zeros in a row are miscounted."""
    del position
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
