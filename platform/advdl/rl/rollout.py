"""RolloutSource: what the present policy has just done, learnt from for some epochs and then thrown away."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl.source import Transition
from advdl.rl.spaces import leaves, stored_dtype, unflatten
from advdl.training.learner import Batch
from advdl.training.randomness import permuted

Specs = Mapping[str, Any]
"""By name: the ``tf.TensorSpec`` of one env copy's value at one step, or a nest of them."""


class Preparation(Protocol):
    """What an agent makes of a full rollout. Methods are traceable."""

    def prepare(self, rollout: Mapping[str, Any]) -> Mapping[str, tf.Tensor]:
        """Computes what batches need besides what was stored: advantages, targets.

        Args:
            rollout: Everything stored, each ``[horizon, num_envs, ...]``.

        Returns:
            Further columns, each ``[horizon, num_envs, ...]``.
        """

    def finish(self) -> None:
        """Runs after the last update on a rollout, before the policy acts again."""

    def state(self) -> dict[str, tf.Variable]:
        """Returns what belongs to the env copies and not to the agent, for the checkpoint."""


class RolloutSource:
    """Collects ``horizon`` steps of every env copy, then hands them out in shuffled batches, ``epochs`` times over.

    A batch has ``rollout // (rollout // batch_size)`` samples: ``batch_size`` or slightly more. Where the batches do
    not divide the rollout, other samples are left over in every epoch.

    Args:
        fields: What is stored of a transition.
        columns: What ``preparation.prepare`` adds.
        hidden: Fields that only ``prepare`` needs; batches do not hold them.
        num_envs: Env copies that are stepped together.
        horizon: Steps of every copy in a rollout.
        epochs: How often a rollout is gone through.
        batch_size: Samples in a batch; a whole rollout if that is less.
        preparation: Makes columns of a rollout.
        stop: From an update's report, whether the rest of the round is left out.
    """

    def __init__(
        self,
        fields: Specs,
        columns: Specs,
        *,
        hidden: frozenset[str],
        num_envs: int,
        horizon: int,
        epochs: int,
        batch_size: int,
        preparation: Preparation,
        stop: Callable[[Mapping[str, tf.Tensor]], tf.Tensor],
    ) -> None:
        self.rollout_size = horizon * num_envs
        self.batches = max(self.rollout_size // batch_size, 1)
        self.batch_size = self.rollout_size // self.batches
        self._horizon, self._num_envs, self._updates = horizon, num_envs, epochs * self.batches
        self._preparation, self._stop, self._hidden = preparation, stop, hidden
        shape = (horizon, num_envs)
        self._fields = {name: _variables(spec, shape) for name, spec in fields.items()}
        self._columns = {name: _variables(spec, shape) for name, spec in columns.items()}
        self._added = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._made = tf.Variable(0, dtype=tf.int64, trainable=False)

    def updates_in(self, env_steps: int) -> int:
        """Counts the updates on all whole rollouts; rounds that are stopped early make fewer."""
        return env_steps // self.rollout_size * self._updates

    def add(self, transition: Transition) -> None:
        """Writes one step of every env copy; the last one of a rollout prepares it."""
        slot = self._added % self._horizon
        for name, variables in self._fields.items():
            tf.nest.map_structure(lambda variable, value: _write(variable, slot, value), variables, transition[name])
        self._added.assign_add(1)
        self._made.assign(0)
        _when(self._full(), self._prepare)

    def add_round(self, transitions: Transition, count: tf.Tensor) -> None:
        """Writes ``count`` steps of every env copy; no rollout ends before the last of them."""
        # Where in the round each step of the rollout comes from; shapes must not depend on the count.
        rows = tf.range(self._horizon, dtype=tf.int64) - self._added % self._horizon
        written = (rows >= 0) & (rows < count)

        def write(variable: tf.Variable, values: tf.Tensor) -> None:
            taken = tf.gather(tf.cast(values, variable.dtype), tf.clip_by_value(rows, 0, values.shape[0] - 1))
            chosen = tf.reshape(written, (-1, *[1] * (len(variable.shape) - 1)))
            variable.assign(tf.where(chosen, taken, variable))

        for name, variables in self._fields.items():
            tf.nest.map_structure(write, variables, transitions[name])
        self._added.assign_add(count)
        self._made.assign(0)
        _when(self._full(), self._prepare)

    def updates_due(self, env_steps: tf.Tensor) -> tf.Tensor:
        """Returns ``epochs * batches`` when a rollout is full and its round has not been stopped, else 0."""
        del env_steps
        due = self._full() & (self._made < self._updates)
        return tf.where(due, tf.constant(self._updates, tf.int64), tf.constant(0, tf.int64))

    def sample(self, seed: tf.Tensor, index: tf.Tensor) -> Batch:
        """Returns a batch of the ``index // batches``-th epoch; batches of an epoch have no sample in common."""
        values = {name: value for name, value in (self._fields | self._columns).items() if name not in self._hidden}
        flat: Batch = tf.nest.map_structure(self._flat, values)
        if self.batches == 1:
            return flat  # the order within a batch is of no consequence
        epoch, batch = index // self.batches, index % self.batches
        # One permutation an epoch: its seed must not depend on the update.
        order = tf.stack([seed[0], tf.cast(self._added * self._updates + epoch, tf.int32)])
        places = tf.range(self.batch_size) + tf.cast(batch, tf.int32) * self.batch_size
        rows = permuted(places, self.rollout_size, order)
        batch_values: Batch = tf.nest.map_structure(lambda value: tf.gather(value, rows), flat)
        return batch_values

    def feedback(self, batch: Batch, report: Mapping[str, tf.Tensor]) -> None:
        """Counts the update, and ends the round if it was the last or if ``stop`` says so."""
        del batch
        made = tf.where(self._stop(report), tf.constant(self._updates, tf.int64), self._made + 1)
        self._made.assign(made)
        _when(made >= self._updates, self._preparation.finish)

    def state(self) -> dict[str, tf.Variable]:
        """Returns the rollout so far and what was made of it."""
        state = {"added": self._added, "made": self._made, **self._preparation.state()}
        for name, variables in (self._fields | self._columns).items():
            flat = tf.nest.flatten(variables)
            state |= {name if len(flat) == 1 else f"{name}/{index:03d}": leaf for index, leaf in enumerate(flat)}
        return state

    def _full(self) -> tf.Tensor:
        return (self._added % self._horizon == 0) & (self._added > 0)

    def _prepare(self) -> None:
        rollout = tf.nest.map_structure(lambda variable: variable.read_value(), self._fields)
        columns = self._preparation.prepare(rollout)
        for name, variables in self._columns.items():
            tf.nest.map_structure(lambda variable, value: variable.assign(value), variables, columns[name])

    def _flat(self, variable: tf.Variable) -> tf.Tensor:
        return tf.reshape(variable, (self.rollout_size, *variable.shape[2:]))


def space_spec(space: Any) -> Any:
    """Returns shape and dtype of a space's values as TensorFlow holds them, a nest of them for a nested space.

    Raises:
        UsageError: A leaf has no single shape.
    """
    try:
        specs = [tf.TensorSpec(leaf.shape, tf.as_dtype(stored_dtype(leaf))) for _, leaf in leaves(space)]
    except TypeError as error:
        raise UsageError(f"a rollout cannot store {space}: {error}") from error
    return unflatten(space, specs)


def _variables(specs: Any, leading: tuple[int, ...]) -> Any:
    def variable(spec: tf.TensorSpec) -> tf.Variable:
        return tf.Variable(tf.zeros((*leading, *spec.shape), spec.dtype), trainable=False)

    return tf.nest.map_structure(variable, specs)


def _write(variable: tf.Variable, slot: tf.Tensor, value: tf.Tensor) -> None:
    variable.scatter_update(tf.IndexedSlices(tf.cast(value, variable.dtype)[None], slot[None]))


def _when(condition: tf.Tensor, action: Callable[[], None]) -> None:
    def yes() -> tf.Tensor:
        action()
        return tf.constant(0)

    tf.cond(condition, yes, lambda: tf.constant(0))
