"""What a study of augmentation found: arms, comparisons, and a picture of the curves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advdl.experiment.augmentation_study import ARMS, Result
from advdl.rl.statistics import bootstrap_interval, improvement, iqm, paired_interval

FIGURES = ("final", "area")

_WIDTH, _HEIGHT, _MARGIN = 900, 520, 60
_COLOURS = {"default": (120, 120, 120), "matched": (222, 148, 40), "model": (50, 90, 190), "untrained": (198, 60, 60)}


def arms(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Returns a row an arm: mean, interquartile mean and bootstrap 95% interval of the mean, of each figure."""
    rows = []
    for arm in ARMS:
        row: dict[str, Any] = {"arm": arm, "runs": len(_of(results, arm, "final"))}
        for figure in FIGURES:
            scores = _of(results, arm, figure)
            low, high = bootstrap_interval(scores)
            row |= {figure: float(scores.mean()), f"{figure}_iqm": float(iqm(scores))}
            row |= {f"{figure}_low": low, f"{figure}_high": high}
        rows.append(row)
    return rows


def comparisons(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Compares the arm with the model with each of the others, by seeds in pairs.

    Returns:
        A row an arm and a figure: the mean difference and its 95% interval, the probability that a run with the model
        is the better one and its interval, and whether the difference's interval leaves 0 out.
    """
    rows = []
    for other in (arm for arm in ARMS if arm != "model"):
        for figure in FIGURES:
            with_model, without = _of(results, "model", figure), _of(results, other, figure)
            difference, low, high = paired_interval(with_model, without)
            probability, least, most = improvement(with_model, without)
            verdict = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
            rows.append(
                {
                    "model_against": other,
                    "figure": figure,
                    "difference": difference,
                    "low": low,
                    "high": high,
                    "probability": probability,
                    "probability_low": least,
                    "probability_high": most,
                    "verdict": verdict,
                }
            )
    return rows


def report(results: Sequence[Result], title: str) -> str:
    """Writes both tables as Markdown."""
    lines = [f"### {title}", "", "| arm | what | runs | final return | 95% | mean over training | 95% |"]
    lines.append("|---|---|--:|--:|--:|--:|--:|")
    for row in arms(results):
        lines.append(
            f"| {row['arm']} | {ARMS[row['arm']]} | {row['runs']} | {row['final']:.1f} | "
            f"{row['final_low']:.1f} to {row['final_high']:.1f} | {row['area']:.1f} | "
            f"{row['area_low']:.1f} to {row['area_high']:.1f} |"
        )
    lines += [
        "",
        "| with the model against | figure | difference | 95% | P(better) | 95% | |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for row in comparisons(results):
        lines.append(
            f"| {row['model_against']} | {row['figure']} | {row['difference']:+.1f} | {row['low']:+.1f} to "
            f"{row['high']:+.1f} | {row['probability']:.2f} | {row['probability_low']:.2f} to "
            f"{row['probability_high']:.2f} | {row['verdict']} |"
        )
    return "\n".join(lines) + "\n"


def draw(results: Sequence[Result]) -> NDArray[np.uint8]:
    """Draws the arms' mean curves, with the range of their seeds behind: uint8 ``[height, width, 3]``."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    canvas = ImageDraw.Draw(image, "RGBA")
    curves = {arm: [result for result in results if result.arm == arm] for arm in ARMS}
    steps = np.array(results[0].steps, float)
    values = np.concatenate([result.curve for result in results])
    low, high = float(values.min()), float(max(values.max(), values.min() + 1e-6))

    def place(step: Any, value: Any) -> tuple[float, float]:
        across = (step - steps[0]) / max(steps[-1] - steps[0], 1.0)
        up = (value - low) / (high - low)
        return _MARGIN + across * (_WIDTH - 2 * _MARGIN), _HEIGHT - _MARGIN - up * (_HEIGHT - 2 * _MARGIN)

    for value in np.linspace(low, high, 5):
        canvas.line([place(steps[0], value), place(steps[-1], value)], fill=(225, 225, 225))
        canvas.text((6, place(steps[0], value)[1] - 6), f"{value:.1f}", fill=(40, 40, 40))
    for step in (steps[0], steps[-1]):
        canvas.text((place(step, low)[0] - 16, _HEIGHT - _MARGIN + 8), f"{step:,.0f}", fill=(40, 40, 40))
    tables = {arm: np.array([run.curve for run in runs]) for arm, runs in curves.items()}
    if len(steps) > 1:  # bands first: they must not lie on lines
        for arm, table in tables.items():
            upper, lower = (
                [place(*pair) for pair in zip(steps, end, strict=True)] for end in (table.max(0), table.min(0))
            )
            canvas.polygon([*upper, *lower[::-1]], fill=(*_COLOURS[arm], 36))
    for arm in sorted(tables, key=lambda arm: arm == "model"):
        mean = [place(*pair) for pair in zip(steps, tables[arm].mean(0), strict=True)]
        canvas.line(mean, fill=_COLOURS[arm], width=3)
        where = (_MARGIN + 10 + 200 * list(ARMS).index(arm), 16)
        canvas.text(where, f"{arm} ({len(tables[arm])})", fill=_COLOURS[arm])
    return np.asarray(image)


def save_picture(results: Sequence[Result], file: Path) -> None:
    """Writes the curves as a PNG."""
    from PIL import Image

    Image.fromarray(draw(results)).save(file)


def _of(results: Sequence[Result], arm: str, figure: str) -> NDArray[np.float64]:
    """Returns an arm's scores in the order of their seeds."""
    ordered = sorted((result.seed, getattr(result, figure)) for result in results if result.arm == arm)
    return np.array([score for _, score in ordered], np.float64)
