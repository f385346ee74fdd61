"""PrioritizedReplay: samples what was learnt from most, more often."""

from collections.abc import Mapping

import tensorflow as tf

from advdl.rl.replay_ring import Ring
from advdl.rl.replay_rounds import Rounds
from advdl.rl.replay_sums import SumTree
from advdl.rl.source import Transition
from advdl.rl.spaces import Spaces
from advdl.training.learner import Batch

# Keeps what was learnt perfectly from never being seen again.
_LEAST = 1e-6


class PrioritizedReplay:
    """Samples in proportion to ``priority ** exponent`` (Schaul et al. 2016, arXiv:1511.05952, section 3.3).

    A new transition has the greatest priority that there was. ``feedback`` sets a sampled one's to the report of
    the update named by ``signal``. A batch is drawn from as many equal shares of the sum as it has transitions, and its
    ``weight`` undoes the bias: ``(count * probability) ** -importance``, divided by the batch's greatest.

    The importance grows over a run, so it comes with the transitions: the agent's ``act`` returns it as the extra
    ``importance``.

    Args:
        spaces: Give shapes and dtypes of observations and actions.
        num_envs: Transitions that arrive together; the capacity is rounded up to a multiple of it.
        capacity: Transitions that are kept.
        batch_size: Transitions in a batch.
        learning_starts: Env steps before the first update.
        train_every: Env steps from one round of updates to the next; a multiple of ``num_envs`` or less than it.
        updates: Updates in a round.
        exponent: How much priorities count: 0 samples uniformly (the paper's alpha).
        signal: The report of an update, one number a sample, whose absolute value is the priority.
        n_step: Steps from a batch's ``observation`` to its ``next_observation``.
        gamma: Discount factor within these steps.
        frame_stack: Frames that an observation stacks, to be stored once; 0 stores whole ones.
        folder: Where observations are kept on the disk, see ``Disk``, empty for the run's folder; None for memory.
    """

    def __init__(
        self,
        spaces: Spaces,
        *,
        num_envs: int,
        capacity: int,
        batch_size: int,
        learning_starts: int,
        train_every: int,
        updates: int,
        exponent: float = 0.6,
        signal: str = "q/priority",
        n_step: int = 1,
        gamma: float = 1.0,
        frame_stack: int = 0,
        folder: str | None = None,
    ) -> None:
        self._rounds = Rounds.of(num_envs, learning_starts=learning_starts, train_every=train_every, updates=updates)
        self._ring = Ring(
            spaces,
            num_envs=num_envs,
            capacity=capacity,
            n_step=n_step,
            gamma=gamma,
            frame_stack=frame_stack,
            folder=folder,
        )
        self.capacity, self.disk = self._ring.capacity, self._ring.disk
        self._num_envs, self._batch_size, self._exponent, self._signal = num_envs, batch_size, exponent, signal
        self._sums = SumTree(self.capacity + 1)  # the last index stands for no transition
        self._greatest = tf.Variable(1.0, trainable=False)
        self._importance = tf.Variable(1.0, trainable=False)

    def updates_in(self, env_steps: int) -> int:
        """Counts the updates from the start of learning to ``env_steps``."""
        return self._rounds.updates_in(env_steps)

    def add(self, transition: Transition) -> None:
        """Writes one step of every env copy over the oldest ones."""
        rows, lost = self._ring.add(transition)
        if lost.shape[0]:
            self._sums.assign(lost, tf.zeros_like(lost, tf.float32))
        self._sums.assign(rows, tf.fill([self._num_envs], self._powered(self._greatest)))
        self._importance.assign(transition["importance"][0])

    def updates_due(self, env_steps: tf.Tensor) -> tf.Tensor:
        """Returns ``updates`` at the end of every ``train_every`` steps once learning has started, else 0."""
        return self._rounds.updates_due(env_steps)

    def sample(self, seed: tf.Tensor, index: tf.Tensor) -> Batch:
        """Draws ``batch_size`` transitions, as ``UniformReplay`` returns them, with ``row`` and ``weight``."""
        del index
        total = self._sums.total()
        shares = tf.range(self._batch_size, dtype=tf.float32) + tf.random.stateless_uniform([self._batch_size], seed)
        rows = self._sums.find(shares * (total / self._batch_size))
        probability = self._sums.priorities(rows) / total
        weight = (tf.cast(self._ring.count(), tf.float32) * probability) ** -self._importance
        return {**self._ring.batch(rows), "row": rows, "weight": weight / tf.reduce_max(weight)}

    def feedback(self, batch: Batch, report: Mapping[str, tf.Tensor]) -> None:
        """Sets the priorities of a batch, unless one is not finite: then a diagnosis can draw the same batch again."""
        priority = tf.abs(report[self._signal]) + _LEAST
        finite = tf.reduce_all(tf.math.is_finite(priority))
        greatest = tf.maximum(self._greatest, tf.reduce_max(priority))
        self._greatest.assign(tf.where(finite, greatest, self._greatest))
        before = self._sums.priorities(batch["row"])
        self._sums.assign(batch["row"], tf.where(finite, self._powered(priority), before))

    def state(self) -> dict[str, tf.Variable]:
        """Returns the transitions, their priorities and the present importance."""
        sums = {f"priorities/{name}": level for name, level in self._sums.state().items()}
        return {
            **self._ring.state(),
            **sums,
            "priorities/greatest": self._greatest,
            "priorities/importance": self._importance,
        }

    def _powered(self, priority: tf.Tensor) -> tf.Tensor:
        return priority**self._exponent
