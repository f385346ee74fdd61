"""SyntheticReplay: any sampler of whole transitions tops up a replay (SynthER: Lu et al. 2023, arXiv:2303.06614)."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl.replay_disk import disk_of
from advdl.rl.source import Source, Transition
from advdl.rl.spaces import Spaces
from advdl.rl.transitions import TransitionCodec, only_transitions
from advdl.training.learner import Batch
from advdl.training.randomness import Stream
from advdl.training.sampler import Sampler


class SyntheticReplay:
    """A replay of which a share of every batch is drawn from a store of synthetic transitions.

    The store is filled by ``refill``, once the sampler has been fitted and whenever it is refitted; until then batches
    are real. How many updates are due is the real replay's affair: a claim that synthetic data help needs a control
    with as many updates.

    Args:
        real: The agent's own memory; its batches hold plain transitions.
        sampler: A sampler of ``TransitionCodec(spaces).transition_spec``.
        spaces: The env's spaces.
        ratio: Share of a batch that is synthetic, above 0 and at most 1.
        capacity: Synthetic transitions in the store.
        seed: The run's seed.
        batch_size: Transitions that are drawn together when the store is filled.
        jit: Whether XLA compiles the sampler.

    Raises:
        UsageError: The ratio is out of range, or the sampler is of other data.
    """

    def __init__(
        self,
        real: Source,
        sampler: Sampler,
        spaces: Spaces,
        *,
        ratio: float = 0.5,
        capacity: int = 10_000,
        seed: int = 0,
        batch_size: int = 500,
        jit: bool = False,
    ) -> None:
        if disk_of(real):
            raise UsageError("synthetic transitions top up a replay in memory, not one on the disk")
        self.codec = TransitionCodec(spaces)
        _check(sampler, self.codec, ratio)
        self._real, self._ratio = real, ratio
        self._batch_size = min(batch_size, capacity)
        self.capacity = -(-capacity // self._batch_size) * self._batch_size
        size = self.codec.transition_spec.x.shape[0]  # type: ignore[index]
        self._store = tf.Variable(tf.zeros([self.capacity, size]), trainable=False)
        self._filled = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._refills = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._stream, self._mixing = Stream(seed, "synthetic"), Stream(seed, "mixing")
        self._sampler = sampler
        self._fill = tf.function(self._draw, jit_compile=jit, autograph=False)

    def refill(self) -> None:
        """Draws a new store from the sampler."""
        rounds = self.capacity // self._batch_size
        for index in range(rounds):
            rows = tf.range(self._batch_size) + index * self._batch_size
            drawn = self._fill(self._stream.at(self._refills * rounds + index))
            self._store.scatter_update(tf.IndexedSlices(drawn, rows))
        self._filled.assign(self.capacity)
        self._refills.assign_add(1)

    def updates_in(self, env_steps: int) -> int:
        """Counts the real replay's updates."""
        return self._real.updates_in(env_steps)

    def add(self, transition: Transition) -> None:
        """Stores real transitions."""
        self._real.add(transition)

    def updates_due(self, env_steps: tf.Tensor) -> tf.Tensor:
        """Asks the real replay."""
        return self._real.updates_due(env_steps)

    def sample(self, seed: tf.Tensor, index: tf.Tensor) -> Batch:
        """Draws a real batch, and puts synthetic transitions in the place of its last rows.

        Raises:
            UsageError: The real replay's batches hold more than transitions; raised when the program is traced.
        """
        real = only_transitions(self._real.sample(seed, index))
        count = int(real["reward"].shape[0])
        synthetic = round(count * self._ratio)
        picked = tf.random.stateless_uniform([synthetic], seed + self._mixing.at(0), 0, self.capacity, tf.int32)
        drawn = self.codec.decode_whole(tf.gather(self._store, picked))

        def mixed(name: str, value: tf.Tensor) -> tf.Tensor:
            kept, replaced = value[: count - synthetic], value[count - synthetic :]
            there = tf.where(self._filled > 0, tf.cast(drawn[name], value.dtype), replaced)
            return tf.concat([kept, there], axis=0)

        return {name: mixed(name, value) for name, value in real.items()}

    def feedback(self, batch: Batch, report: Mapping[str, tf.Tensor]) -> None:
        """Nothing: a TD error of a synthetic transition says nothing of the real one in its place."""

    def state(self) -> dict[str, tf.Variable]:
        """Returns the real replay's variables and the store, for the checkpoint; the sampler's are its own."""
        real: dict[str, Any] = {f"real/{name}": value for name, value in self._real.state().items()}
        return real | {
            "synthetic/store": self._store,
            "synthetic/filled": self._filled,
            "synthetic/refills": self._refills,
        }

    def _draw(self, seed: tf.Tensor) -> tf.Tensor:
        return self._sampler.sample(None, self._batch_size, seed)


def _check(sampler: Sampler, codec: TransitionCodec, ratio: float) -> None:
    if not 0 < ratio <= 1:
        raise UsageError(f"the share of synthetic transitions must be above 0 and at most 1, not {ratio}")
    if sampler.spec != codec.transition_spec:
        raise UsageError(
            f"a data model needs a sampler of {codec.transition_spec.x} given nothing, not of {sampler.spec.x} "
            f"given {sampler.spec.c}",
            hint="build it with TransitionCodec(spaces).transition_spec",
        )
