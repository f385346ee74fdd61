"""UniformReplay: a ring of transitions in TensorFlow variables, written in place by the compiled program."""

from collections.abc import Mapping

import tensorflow as tf

from advdl.rl.replay_ring import Ring
from advdl.rl.replay_rounds import Rounds
from advdl.rl.source import Transition, add_in_turn
from advdl.rl.spaces import Spaces
from advdl.training.learner import Batch


class UniformReplay:
    """Samples uniformly from the last ``capacity`` transitions (Lin 1992; Mnih et al. 2015).

    A transition takes ``2 * observation + action + reward (4) + terminated (1)`` bytes; with ``n_step`` above 1 one
    more, and with ``frame_stack`` one frame and 8 bytes in the place of the two observations.

    Args:
        spaces: Give shapes and dtypes of observations and actions.
        num_envs: Transitions that arrive together; the capacity is rounded up to a multiple of it.
        capacity: Transitions that are kept.
        batch_size: Transitions in a batch.
        learning_starts: Env steps before the first update.
        train_every: Env steps from one round of updates to the next; a multiple of ``num_envs`` or less than it.
        updates: Updates in a round.
        n_step: Steps from a batch's ``observation`` to its ``next_observation`` (Sutton 1988).
        gamma: Discount factor within these steps.
        frame_stack: Frames that an observation stacks, see ``Frames``: they are then stored once. 1 stores any array
            once, 0 stores observation and next observation whole.
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
        self._batch_size = batch_size

    def updates_in(self, env_steps: int) -> int:
        """Counts the updates from the start of learning to ``env_steps``."""
        return self._rounds.updates_in(env_steps)

    def add(self, transition: Transition) -> None:
        """Writes one step of every env copy over the oldest ones."""
        self._ring.add(transition)

    def add_round(self, transitions: Transition, count: tf.Tensor) -> None:
        """Writes ``count`` steps of every env copy, all at once where they lie in memory as they come.

        Where ``add`` is another one, as in a subclass, it is given every step.
        """
        if getattr(self.add, "__func__", None) is UniformReplay.add:
            self._ring.add_round(transitions, count)
        else:
            add_in_turn(self.add, transitions, count)

    def updates_due(self, env_steps: tf.Tensor) -> tf.Tensor:
        """Returns ``updates`` at the end of every ``train_every`` steps once learning has started, else 0."""
        return self._rounds.updates_due(env_steps)

    def sample(self, seed: tf.Tensor, index: tf.Tensor) -> Batch:
        """Draws ``batch_size`` transitions, with replacement.

        With ``n_step`` above 1, ``reward`` is the discounted sum of so many rewards, ``next_observation`` and
        ``terminated`` are those after the last of them, and ``discount`` is what a value there is multiplied with:
        gamma to the number of steps. There are fewer steps where the episode ended, by termination or by truncation,
        and where the newest transition is reached.
        """
        del index
        return self._ring.batch(self._ring.draw(seed, self._batch_size))

    def feedback(self, batch: Batch, report: Mapping[str, tf.Tensor]) -> None:
        """A uniform memory has no use for TD errors."""

    def state(self) -> dict[str, tf.Variable]:
        """Returns the transitions and how many there were."""
        return self._ring.state()
