"""What does the trainer cost? Updates through it beside the same updates written out by hand, both one fused program.

Both loops minimise the same loss of the same network on the same batches with the same optimizer, and clip the
gradient's global norm. The one by hand is what a person would write for this loss alone: gradient, clip, apply. The
trainer's adds what makes it the trainer of everything: the learning rate's schedule, a check that loss and gradient are
finite before anything is changed, reports, and the count of updates. Claim: at most 3% more time an update.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from measure import Report, arguments_parser

UNITS = (128, 128)
BATCH = 64
UPDATES = 20_000
CLIP = 10.0


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--updates", type=int, default=UPDATES)
    given = parser.parse_args()
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    pairs = {name: build() for name, build in (("by_hand", by_hand), ("trainer", through_trainer))}
    for run in pairs.values():
        run(given.updates // 10)  # compiles, and warms up
    rows = []
    for seed in given.seeds:
        order = list(pairs) if seed % 2 else list(pairs)[::-1]
        seconds = {name: timed(pairs[name], given.updates) for name in order}
        rows.append(
            {
                "round": seed,
                "by_hand_us": 1e6 * seconds["by_hand"] / given.updates,
                "trainer_us": 1e6 * seconds["trainer"] / given.updates,
                "overhead": seconds["trainer"] / seconds["by_hand"] - 1,
            }
        )
    median = statistics.median(row["overhead"] for row in rows)
    return Report(
        title="The trainer's overhead over a fused loop written by hand",
        settings={"units": "-".join(map(str, UNITS)), "batch": BATCH, "updates": given.updates, "clip_norm": CLIP},
        load=given.load,
        rows=rows,
        summary=[{"figure": "overhead", "median": median}],
        verdicts=[("an update through the trainer takes at most 3% longer", median <= 0.03)],
    ).emit(as_json=given.json)


def timed(run: Callable[[int], None], updates: int) -> float:
    began = time.perf_counter()
    run(updates)
    return time.perf_counter() - began


def parts() -> tuple[Any, Any, Callable[[Any], Any], Callable[[Any], Any]]:
    """Returns a network, its optimizer, a loss of a batch and the batch of an update."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(units, activation="relu") for units in UNITS]
    network = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)])
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(network.trainable_variables)

    def loss(batch: Any) -> Any:
        return tf.reduce_mean(tf.square(network(batch["x"], training=True) - batch["y"]))

    def batch(index: Any) -> Any:
        draws = tf.random.stateless_normal([BATCH, 6], tf.stack([tf.constant(1), tf.cast(index, tf.int32)]))
        return {"x": draws[:, :4], "y": draws[:, 4:]}

    return network, optimizer, loss, batch


def by_hand() -> Callable[[int], None]:
    import tensorflow as tf

    network, optimizer, loss, batch = parts()
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


def through_trainer() -> Callable[[int], None]:
    import tensorflow as tf

    from advdl.training import FusedLoop, Learner, Objective, Trainer, Tuning
    from advdl.training.schedules import Constant

    network, optimizer, loss, batch = parts()

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
