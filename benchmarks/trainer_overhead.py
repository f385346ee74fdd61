"""What does the trainer cost? Updates through it beside the same updates written out by hand, both one fused program.

Both loops minimise the same loss of the same network on the same batches with the same optimizer, and clip the
gradient's global norm. The one by hand is what a person would write for this loss alone: gradient, clip, apply. The
trainer's adds what makes it the trainer of everything: the learning rate's schedule, a check that loss and gradient are
finite before anything is changed, reports, and the count of updates. Claim: at most 3% more time an update.

A machine's speed drifts, so the two take turns in short slices, and what counts is the median of the ratios of
neighbours, each of them first in half of the pairs. The loop by hand is built twice, and its twin takes a turn too:
that median should be 1, and how far it is off says what this machine can resolve.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from measure import Report, Row, arguments_parser

UNITS = (128, 128)
BATCH = 64
UPDATES = 1_000
PAIRS = 60
CLIP = 10.0
LOOPS = ("trainer", "by_hand", "twin")
FIGURES = {"overhead": "trainer", "noise": "twin"}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--updates", type=int, default=UPDATES, help=f"of a slice ({UPDATES})")
    parser.add_argument("--units", type=int, nargs="+", default=UNITS, help="of the network's layers (128 128)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"slices of each loop in a round ({PAIRS})")
    given = parser.parse_args()
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    units = tuple(given.units)
    loops = dict(zip(LOOPS, (through_trainer(units), by_hand(units), by_hand(units)), strict=True))
    for run in loops.values():
        run(2 * given.updates)  # compiles, and warms up
    rows = [one_round(number, loops, given) for number in given.seeds]
    medians = {what: statistics.median(ratio for row in rows for ratio in row[f"{what}s"]) - 1 for what in FIGURES}
    return Report(
        title="The trainer's overhead over a fused loop written by hand",
        settings={
            "units": "-".join(map(str, given.units)),
            "batch": BATCH,
            "clip_norm": CLIP,
            "updates_a_slice": given.updates,
            "pairs_a_round": given.pairs,
        },
        load=given.load,
        rows=rows,
        summary=[{"figure": what, "median": value} for what, value in medians.items()],
        verdicts=[("an update through the trainer takes at most 3% longer", medians["overhead"] <= 0.03)],
        notes=["noise: the same of the loop by hand and its twin"],
    ).emit(as_json=given.json)


def one_round(number: int, loops: Mapping[str, Callable[[int], None]], given: argparse.Namespace) -> Row:
    """Times slices of the loops in turns, forwards and backwards."""
    slices: list[dict[str, float]] = []
    for index in range(given.pairs):
        order = LOOPS if index % 2 else LOOPS[::-1]
        slices.append({name: timed(loops[name], given.updates) for name in order})
    us = {name: 1e6 * statistics.median(each[name] for each in slices) / given.updates for name in LOOPS}
    ratios = {what: [each[name] / each["by_hand"] for each in slices] for what, name in FIGURES.items()}
    return {
        "round": number,
        **{f"{name}_us": value for name, value in us.items()},
        **{what: statistics.median(values) - 1 for what, values in ratios.items()},
        **{f"{what}s": values for what, values in ratios.items()},
    }


def timed(run: Callable[[int], None], updates: int) -> float:
    began = time.perf_counter()
    run(updates)
    return time.perf_counter() - began


def parts(units: Sequence[int]) -> tuple[Any, Any, Callable[[Any], Any], Callable[[Any], Any]]:
    """Returns a network, its optimizer, a loss of a batch and the batch of an update."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(width, activation="relu") for width in units]
    network = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)])
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(network.trainable_variables)

    def loss(batch: Any) -> Any:
        return tf.reduce_mean(tf.square(network(batch["x"], training=True) - batch["y"]))

    def batch(index: Any) -> Any:
        draws = tf.random.stateless_normal([BATCH, 6], tf.stack([tf.constant(1), tf.cast(index, tf.int32)]))
        return {"x": draws[:, :4], "y": draws[:, 4:]}

    return network, optimizer, loss, batch


def by_hand(units: Sequence[int]) -> Callable[[int], None]:
    import tensorflow as tf

    network, optimizer, loss, batch = parts(units)
    variables = network.trainable_variables

    @tf.function(jit_compile=True, autograph=False)
    def program(count: Any) -> Any:
        def body(index: Any) -> Any:
            values = [variable.value for variable in variables]
            with tf.GradientTape() as tape:
                value = loss(batch(index))
            gradients, _ = tf.clip_by_global_norm(tape.gradient(value, values), CLIP)
            optimizer.apply(gradients, variables)
            return (index + 1,)

        (end,) = tf.while_loop(lambda index: index < count, body, (tf.constant(0, tf.int64),), parallel_iterations=1)
        return end

    return lambda count: int(program(tf.constant(count, tf.int64))) and None


def through_trainer(units: Sequence[int]) -> Callable[[int], None]:
    import tensorflow as tf

    from advdl.training import FusedLoop, Learner, Objective, Trainer, Tuning
    from advdl.training.schedules import Constant

    network, optimizer, loss, batch = parts(units)

    class Regression(Learner):
        @property
        def models(self) -> dict[str, Any]:
            return {"network": network}

        def objectives(self) -> list[Objective]:
            return [Objective("fit", lambda batch, seed: (loss(batch), {}), network.trainable_variables)]

    tunings = {"fit": Tuning(optimizer, Constant(value=1e-3))}
    trainer = Trainer(Regression(), tunings, total_updates=UPDATES, clip_norm=CLIP)
    seed = tf.constant([0, 0], tf.int32)

    def step(index: Any) -> None:
        trainer.update(batch(index), seed)

    loop = FusedLoop(step, healthy=trainer.healthy, chunk_seconds=3600.0)

    def run(count: int) -> None:
        at = 0
        while at < count:
            at = loop.advance(at, count - at)

    return run


if __name__ == "__main__":
    sys.exit(main())
