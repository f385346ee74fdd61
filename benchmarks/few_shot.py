"""Few-shot images: 5-way 1-shot and 5-shot accuracy on classes that training never saw, with two controls.

MAML with Conv-4, queries judged one by one (not transductive). Beside it, on the same 600 held-out tasks:

- nearest neighbour: the class of the support image that is nearest in pixels
- from scratch: the same network from random weights, after `--scratch-steps` inner steps on the task's support

Data are scikit-learn's digits unless `--data` names a folder or a zip file of images, a folder a class. Of the digits
five are held out, and the other five make 20 training classes with their rotations: a hard transfer. Omniglot's
alphabets are what is published (MAML 98.7 and 99.9 with 1,200 training characters).
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from measure import Report, Row, advdl, arguments_parser, child, say, sets, workplace

HELD_OUT, CHUNK = 600, 50
SCRATCH_TASKS, SCRATCH_RATE = 100, 0.1


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0")
    parser.add_argument("--updates", type=int, default=3_000, help="meta-updates")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--data", default="digits", help="digits, or a folder or zip file of images")
    parser.add_argument(
        "--held-out-data", default="", help="where the held-out classes are; a half of --data's if empty"
    )
    parser.add_argument("--size", type=int, default=0, help="height and width that images are scaled to")
    parser.add_argument("--scratch-steps", type=int, default=20)
    parser.add_argument("--controls", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.controls:
        print(json.dumps(controls(json.loads(arguments.controls), arguments.scratch_steps)))
        return 0
    with workplace() as folder:
        rows = [one(shots, seed, arguments, folder) for shots in arguments.shots for seed in arguments.seeds]
    return report(rows, arguments).emit(as_json=arguments.json)


def one(shots: int, seed: int, arguments: argparse.Namespace, folder: Path) -> Row:
    options = {"data": absolute(arguments.data), "held_out_data": absolute(arguments.held_out_data)}
    options |= {"size": arguments.size, "shots": shots}
    settings = {f"tasks.{name}": value for name, value in options.items() if value != ""}
    command = ["meta", "train", "--tasks", "few-shot", "--adapter", "maml", "--steps", str(arguments.updates)]
    fixed = {"evaluation.every": 0, "evaluation.tasks": HELD_OUT, "evaluation.steps": [0, 1, 5]}
    home = folder / f"{shots}-{seed}"
    done = advdl([*command, "--seed", str(seed), "--quiet", *sets({**settings, **fixed})], home, folder / "cache")
    figures = done.data.get("evaluation", {})
    row: Row = {"shots": shots, "seed": seed}
    for step in (0, 1, 5):
        row[f"after_{step}"] = figures.get(f"accuracy/after_{step}")
    row["interval_1"] = figures.get("accuracy/after_1/interval")
    given = json.dumps({**options, "seed": seed})
    words = [str(Path(__file__).resolve()), "--controls", given, "--scratch-steps", str(arguments.scratch_steps)]
    row |= child(words, home, folder / "cache")
    say(f"{row}, {done.seconds:.0f} s")
    return {**row, "seconds": done.seconds, "exit_code": done.code}


def absolute(data: str) -> str:
    """The run is started in a folder of its own."""
    return str(Path(data).resolve()) if data not in ("", "digits") else data


def controls(options: dict[str, Any], steps: int) -> Row:
    """Measures both controls on held-out tasks, in a process of its own."""
    from advdl.testing import component

    seed = options.pop("seed")
    tasks = component("tasks", "few-shot", **options)()
    return {"nearest_neighbour": nearest_neighbour(tasks, seed), "from_scratch": from_scratch(tasks, seed, steps)}


def nearest_neighbour(tasks: Any, seed: int) -> float:
    from advdl.training import Stream

    stream = Stream(seed, "held-out tasks")
    right = [nearest(tasks.sample(stream.at(index), CHUNK, held_out=True)) for index in range(HELD_OUT // CHUNK)]
    return statistics.mean(right)


def nearest(drawn: Any) -> float:
    """Returns the share of queries whose nearest support image is of their class."""
    import numpy as np

    support, query = (
        drawn[part]["x"].numpy().reshape(CHUNK, drawn[part]["x"].shape[1], -1).astype(np.float32)
        for part in ("support", "query")
    )
    squares = (query**2).sum(-1)[:, :, None] + (support**2).sum(-1)[:, None]
    distance = squares - 2 * query @ support.transpose(0, 2, 1)
    found = np.take_along_axis(drawn["support"]["c"].numpy(), distance.argmin(-1), axis=1)
    return float((found == drawn["query"]["c"].numpy()).mean())


def from_scratch(tasks: Any, seed: int, steps: int) -> float:
    import keras

    from advdl.testing import component
    from advdl.training import Judge

    keras.utils.set_random_seed(seed)
    learner = component("learner", "classifier", backbone={"name": "conv4", "filters": 32})(tasks.spec)
    adapter = component("adapter", "maml", learning_rate=SCRATCH_RATE)(learner)
    found = Judge(tasks, adapter, jit=False)(count=SCRATCH_TASKS, steps=[steps], seed=seed)
    return float(found["accuracy"].mean())


def report(rows: list[Row], arguments: argparse.Namespace) -> Report:
    columns = ("after_0", "after_1", "after_5", "nearest_neighbour", "from_scratch")
    summary = []
    for shots in arguments.shots:
        mine = [row for row in rows if row["shots"] == shots]
        summary.append({"shots": shots, **{name: statistics.mean(row[name] for row in mine) for name in columns}})
    return Report(
        title="Few-shot images, 5 ways",
        settings={
            "updates": arguments.updates,
            "data": Path(arguments.data).name,
            "held_out_tasks": HELD_OUT,
            "judged": "one by one",
            "scratch_steps": arguments.scratch_steps,
        },
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=[
            (
                f"{row['shots']}-shot: after 1 step it beats {name.replace('_', ' ')} "
                f"({row['after_1']:.3f}, {row[name]:.3f})",
                row["after_1"] > row[name],
            )
            for row in summary
            for name in ("nearest_neighbour", "from_scratch")
        ],
        notes=[f"from scratch: {SCRATCH_TASKS} tasks, inner rate {SCRATCH_RATE}"],
    )


if __name__ == "__main__":
    sys.exit(main())
