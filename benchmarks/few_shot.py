"""Few-shot images: accuracy on classes that training never saw, 5 ways, 1 shot and 5 shots, and two controls.

MAML on the small network of 4 convolutions, one inner step in training; queries are judged one by one (not
transductive). Beside it, on the same 600 held-out tasks:

- nearest neighbour: the class of the support image that is nearest in pixels
- from scratch: the same network from random weights, after `--scratch-steps` steps on the task's support

Data are scikit-learn's digits unless `--data` names a folder or a zip file of images, a folder a class. Of the digits
five are held out, and the other five make 20 training classes with their rotations: a hard transfer. With Omniglot's
small sets (github.com/brendenlake/omniglot, python/images_background_small1.zip and ...small2.zip: 136 training
characters and their rotations, 106 held out, of alphabets that training lacks):

    python benchmarks/few_shot.py --data images_background_small1.zip --held-out-data images_background_small2.zip

The published figures (98.7 and 99.9) are for 1,200 training characters.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from measure import Report, Row, advdl, arguments_parser, child, recipe_digest, sets, workplace
from results import Results

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
    parser.add_argument("--size", type=int, default=14, help="height and width that images of files are scaled to")
    parser.add_argument("--filters", type=int, default=32, help="filters of each convolution")
    parser.add_argument("--scratch-steps", type=int, default=20)
    parser.add_argument("--controls", help=argparse.SUPPRESS)
    parser.add_argument(
        "--results", type=Path, help="a file that keeps finished runs, so that the rest can be made later"
    )
    arguments = parser.parse_args()
    if arguments.controls:
        print(json.dumps(controls(json.loads(arguments.controls), arguments.scratch_steps)))
        return 0
    results = Results(arguments.results, recipe_digest("advdl_meta/recipes/few-shot.toml"))
    what = {name: getattr(arguments, name) for name in ("data", "held_out_data", "size", "filters", "updates")}
    with workplace() as folder:
        rows = [
            results.row(
                lambda shots=shots, seed=seed: one(shots, seed, arguments, folder), shots=shots, seed=seed, **what
            )
            for shots in arguments.shots
            for seed in arguments.seeds
        ]
    return report(rows, arguments).emit(as_json=arguments.json)


def one(shots: int, seed: int, arguments: argparse.Namespace, folder: Path) -> Row:
    options = {"shots": shots, "data": source(arguments.data, arguments.size)}
    if arguments.held_out_data:
        options["held_out_data"] = source(arguments.held_out_data, arguments.size)
    settings = flat("tasks", options) | {"learner.backbone.filters": arguments.filters}
    command = ["meta", "train", "--tasks", "few-shot", "--adapter", "maml", "--steps", str(arguments.updates)]
    fixed = {"evaluation.every": 0, "evaluation.tasks": HELD_OUT, "evaluation.steps": [0, 1, 5]}
    home = folder / f"{shots}-{seed}"
    done = advdl([*command, "--seed", str(seed), "--quiet", *sets({**settings, **fixed})], home, folder / "cache")
    figures = done.data.get("evaluation", {})
    row: Row = {"shots": shots, "seed": seed}
    for step in (0, 1, 5):
        row[f"after_{step}"] = figures.get(f"accuracy/after_{step}")
    row["interval_1"] = figures.get("accuracy/after_1/interval")
    given = json.dumps({"options": options, "seed": seed, "filters": arguments.filters})
    words = [str(Path(__file__).resolve()), "--controls", given, "--scratch-steps", str(arguments.scratch_steps)]
    row |= child(words, home, folder / "cache")
    return {**row, "seconds": done.seconds, "exit_code": done.code}


def source(data: str, size: int) -> Row:
    """Names a data set as a component; the run is started in a folder of its own, so a path is whole."""
    if data == "digits":
        return {"name": data}
    return {"name": "folder", "path": str(Path(data).resolve()), "size": size, "colours": "grey"}


def flat(prefix: str, options: Row) -> Row:
    """Turns nested options into dotted settings."""
    found: Row = {}
    for name, value in options.items():
        found |= flat(f"{prefix}.{name}", value) if isinstance(value, dict) else {f"{prefix}.{name}": value}
    return found


def controls(given: Row, steps: int) -> Row:
    """Measures both controls on held-out tasks, in a process of its own."""
    from advdl.testing import component

    tasks = component("tasks", "few-shot", **given["options"])()
    scratch = from_scratch(tasks, given["seed"], steps, given["filters"])
    return {"nearest_neighbour": nearest_neighbour(tasks, given["seed"]), "from_scratch": scratch}


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


def from_scratch(tasks: Any, seed: int, steps: int, filters: int) -> float:
    """Trains a network on the support of each of some held-out tasks, by single steps: unrolled they trace for long."""
    import keras
    import tensorflow as tf

    from advdl.testing import component
    from advdl.training import Stream

    keras.utils.set_random_seed(seed)
    backbone = {"name": "conv4", "filters": filters}
    learner = component("learner", "classifier", backbone=backbone)(tasks.spec)
    adapter = component("adapter", "fomaml", learning_rate=SCRATCH_RATE, steps=0)(learner)
    one_step = tf.function(step_of(adapter), autograph=False, jit_compile=True)
    judged = tf.function(accuracy_of(adapter), autograph=False, jit_compile=True)
    drawn = tasks.sample(Stream(seed, "held-out tasks").at(0), SCRATCH_TASKS, held_out=True)
    start = adapter.start([tf.convert_to_tensor(variable.value) for variable in adapter.meta_variables])
    right = []
    for index in range(SCRATCH_TASKS):
        task = tf.nest.map_structure(lambda field, index=index: field[index], drawn)
        fast = start
        for _ in range(steps):
            fast = one_step(fast, task["support"])
        right.append(float(judged(fast, task)))
    return statistics.mean(right)


def step_of(adapter: Any) -> Any:
    import tensorflow as tf

    seed = tf.constant([0, 0], tf.int32)
    return lambda fast, support: adapter.inner_step([], fast, support, seed, step=0)


def accuracy_of(adapter: Any) -> Any:
    """Judges queries one by one, normalised by the support's statistics."""
    import tensorflow as tf

    def accuracy(fast: Any, task: Any) -> Any:
        seed = tf.constant([0, 0], tf.int32)
        seen = adapter.judged_as([], fast, task, seed, step=0)
        return tf.reduce_mean(tf.cast(adapter.pure.measure(seen, task["query"], seed)["accuracy"], tf.float32))

    return accuracy


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
            "held_out_data": Path(arguments.held_out_data).name or "a half of the classes",
            "filters": arguments.filters,
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
