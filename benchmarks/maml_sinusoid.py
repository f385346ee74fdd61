"""MAML on sinusoids, the published protocol (Finn et al. 2017), for each seed and adapter.

1-40-40-1, inner rate 0.01, one inner step in training, 25 tasks, Adam 1e-3; the squared error on a grid over [-5, 5] of
600 held-out tasks, with its 95% interval over tasks, before adaptation and after 1, 5 and 10 steps.

--part shots-10   MAML, first-order MAML, and a control that is trained on all tasks at once without an inner step
--part long       MAML alone, for the paper's 70,000 meta-iterations
--part shots-5    MAML, Meta-SGD and the MAML++ recipe (cosine meta-rate) with 5 support samples
--part settings   MAML, 24 tasks in a meta-batch: as it is, with mixed_bfloat16, and with 2 devices that share it
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

from measure import Report, Row, advdl, arguments_parser, recipe_digest, sets, workplace
from results import Results

STEPS = (0, 1, 5, 10)
COSINE = {"optimizer.learning_rate.name": "cosine", "optimizer.learning_rate.start": 1e-3}
PARTS: dict[str, dict[str, dict[str, Any]]] = {
    "shots-10": {
        "maml": {"adapter.name": "maml"},
        "fomaml": {"adapter.name": "fomaml"},
        "pretrained": {"adapter.name": "maml", "adapter.steps": 0},
    },
    "long": {"maml": {"adapter.name": "maml"}},
    "shots-5": {
        "maml": {"adapter.name": "maml", "tasks.shots": 5},
        "meta-sgd": {"adapter.name": "meta-sgd", "tasks.shots": 5},
        "maml-pp": {"adapter.name": "maml-pp", "adapter.steps": 5, "tasks.shots": 5, **COSINE},
    },
    "settings": {
        "plain": {"meta.batch": 24},
        "mixed_bfloat16": {"meta.batch": 24, "precision": "mixed_bfloat16"},
        "devices 2": {"meta.batch": 24, "devices": 2},
    },
}
BOUNDS = {15_000: (0.55, 0.18), 70_000: (0.36, 0.15)}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--part", choices=PARTS, default="shots-10")
    parser.add_argument("--updates", type=int, help="meta-iterations: 15,000, or the paper's 70,000 with --part long")
    parser.add_argument(
        "--results", type=Path, help="a file that keeps finished runs, so that the rest can be made later"
    )
    arguments = parser.parse_args()
    arguments.updates = arguments.updates or (70_000 if arguments.part == "long" else 15_000)
    part, updates = PARTS[arguments.part], arguments.updates
    results = Results(arguments.results, recipe_digest("advdl_meta/recipes/sinusoid.toml"))
    with workplace() as folder:
        rows = [
            results.row(
                lambda name=name, seed=seed: one(name, part[name], seed, updates, folder),
                adapter=name,
                seed=seed,
                part=arguments.part,
                updates=updates,
            )
            for seed in arguments.seeds
            for name in part
        ]
    return report(rows, arguments).emit(as_json=arguments.json)


def one(name: str, settings: dict[str, Any], seed: int, updates: int, folder: Path) -> Row:
    fixed = {"evaluation.every": 0, "evaluation.steps": list(STEPS), "evaluation.tasks": 600}
    command = ["meta", "train", "--tasks", "sinusoid", "--steps", str(updates), "--seed", str(seed), "--quiet"]
    done = advdl([*command, *sets({**settings, **fixed})], folder / f"{name}-{seed}", folder / "cache")
    figures = done.data.get("evaluation", {})
    row: Row = {"adapter": name, "seed": seed}
    for step in STEPS:
        row[f"after_{step}"] = figures.get(f"error/after_{step}")
        row[f"interval_{step}"] = figures.get(f"error/after_{step}/interval")
    row |= {"seconds": done.seconds, "exit_code": done.code}
    return row


def report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    summary = [summarised(name, rows) for name in PARTS[arguments.part]]
    means = {row["adapter"]: row for row in summary}
    claims = {
        "shots-10": lambda: [*bounds(means["maml"], arguments.updates), *beside(means)],
        "long": lambda: bounds(means["maml"], arguments.updates),
        "shots-5": lambda: five_shot(means),
        "settings": lambda: same(rows),
    }[arguments.part]()
    return Report(
        title=f"MAML on sinusoids, {arguments.part}",
        settings={
            "meta_updates": arguments.updates,
            "meta_batch": 24 if arguments.part == "settings" else 25,
            "inner_rate": 0.01,
            "held_out_tasks": 600,
        },
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=claims,
        notes=["seconds: from process start to process end; the compile cache is shared by the runs"],
    )


def summarised(name: str, rows: list[Row]) -> Row:
    mine = [row for row in rows if row["adapter"] == name]
    return {"adapter": name, **{f"after_{step}": mean([row[f"after_{step}"] for row in mine]) for step in STEPS}}


def mean(errors: list[float | None]) -> float | None:
    """Returns the mean; none where further steps than in training led out to infinity."""
    known = [error for error in errors if error is not None]
    return statistics.mean(known) if len(known) == len(errors) else None


def bounds(maml: Row, updates: int) -> list[tuple[str, bool]]:
    one, ten = BOUNDS.get(updates, (float("inf"), float("inf")))
    return [
        (f"MAML's error before adaptation is at least 2 ({maml['after_0']:.2f})", maml["after_0"] >= 2),
        (f"after 1 step it is at most {one} ({maml['after_1']:.3f})", maml["after_1"] <= one),
        (f"after 10 steps it is at most {ten} ({maml['after_10']:.3f})", maml["after_10"] <= ten),
    ]


def beside(means: dict[str, Row]) -> list[tuple[str, bool]]:
    maml, first, control = (means[name] for name in ("maml", "fomaml", "pretrained"))
    share = maml["after_1"] / first["after_1"]
    return [
        (f"after 1 step it is at most 0.75 of first-order MAML's ({share:.2f})", share <= 0.75),
        (
            f"the control is worse after 10 steps ({control['after_10']:.3f})",
            control["after_10"] > maml["after_10"],
        ),
    ]


def five_shot(means: dict[str, Row]) -> list[tuple[str, bool]]:
    """Each adapter after the inner steps that it was trained with: 1, 1 and 5."""
    base = means["maml"]["after_1"]
    found = {"meta-sgd": means["meta-sgd"]["after_1"], "maml-pp": means["maml-pp"]["after_5"]}
    return [
        (f"{name} is at least 25% below MAML ({1 - error / base:.0%}: {error:.3f}, {base:.3f})", error <= 0.75 * base)
        for name, error in found.items()
    ]


def same(rows: list[Row]) -> list[tuple[str, bool]]:
    """Each error lies within both 95% intervals of the plain run's; the held-out tasks are the same."""
    plain = {row["seed"]: row for row in rows if row["adapter"] == "plain"}
    claims = []
    for row in rows:
        other = plain[row["seed"]]
        near = abs(row["after_1"] - other["after_1"]) <= other["interval_1"] + row["interval_1"]
        told = f"{row['adapter']}, seed {row['seed']}: {row['after_1']:.3f}, plain {other['after_1']:.3f}"
        if row is not other:
            claims.append((f"the error after 1 step is the same within the intervals ({told})", near))
    return claims


if __name__ == "__main__":
    sys.exit(main())
