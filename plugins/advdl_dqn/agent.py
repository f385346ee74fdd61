"""DQN: deep Q-learning with experience replay and a target network, and its extensions as switches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import gymnasium
import keras
import tensorflow as tf

from advdl.errors import UsageError
from advdl.plugin import Choice
from advdl.rl import Acted, Agent, PrioritizedReplay, Progress, Source, Spaces, UniformReplay
from advdl.rl.backbones import build_backbone
from advdl.training import Aux, Batch, Objective
from advdl.training.randomness import fold
from advdl_dqn.heads import Head, head_of
from advdl_dqn.network import QNetwork, copy_weights
from advdl_dqn.options import (
    Backbone,
    Count,
    Distributional,
    Loss,
    NotNegative,
    Positive,
    Schedule,
    Share,
    Store,
    Units,
    Weight,
)
from advdl_dqn.targets import discounts, overestimation


class DQN(Agent):
    """Deep Q-Network (Mnih et al. 2015) with double Q-learning (van Hasselt et al. 2016), and further switches.

    Args:
        spaces: Any observation that the backbone takes; ``Discrete`` actions.
        backbone: Turns observations into features.
        loss: Compares Q-values with their targets; a distributional agent has its own.
        gamma: Discount factor.
        double: Choose the next action with the online network and value it with the target network.
        dueling: Tell the value of an observation from the advantages of actions (Wang et al. 2016).
        n_step: Rewards in a target before it bootstraps (Sutton 1988).
        prioritized: Sample transitions in proportion to what was learnt from them (Schaul et al. 2016).
        noisy: Explore by noise in the head's weights (Fortunato et al. 2018); epsilon stays what it is.
        distributional: Learn the distribution of returns: as probabilities of fixed returns (c51, Bellemare et al.
            2017) or as quantiles (qr, Dabney et al. 2018).
        atoms: Returns or quantiles of a distribution.
        lowest_return: The lowest return of c51.
        highest_return: The highest return of c51.
        head_units: Widths of hidden layers between the backbone and the output, in each stream of a dueling head.
        sigma: The noise that noisy layers start with.
        conservative: How much the loss holds down actions that the data do not show (CQL, Kumar et al. 2020): for
            learning from a fixed set of transitions, where nothing else corrects a value that is too high.
        epsilon: Share of random actions, by env steps.
        priority_exponent: How much priorities count; 0 samples uniformly.
        importance: How far sampling by priority is undone in the loss, by env steps; 1 is all of it.
        frame_stack: Frames that an observation stacks, as its last axis or as its first, the newest last: the replay
            then stores each once. 1 stores any array once, 0 stores observation and next observation whole.
        batch_size: Transitions in a batch.
        buffer_size: Transitions that the replay keeps.
        buffer_store: Where it keeps observations: memory, or disk for a buffer that is larger; that needs the host
            engine.
        buffer_folder: Where a folder for them is made on the disk; empty for the run's folder.
        learning_starts: Env steps before the first update.
        train_every: Env steps from one round of updates to the next.
        updates: Updates in a round.
        target_every: Updates from one copy of the online network into the target network to the next.
    """

    name: ClassVar[str] = "dqn"
    off_policy: ClassVar[bool] = True

    def __init__(
        self,
        spaces: Spaces,
        *,
        backbone: Backbone = Choice("mlp", {"units": (128, 128)}),  # type: ignore[assignment]
        loss: Loss = Choice("huber"),  # type: ignore[assignment]
        gamma: Share = 0.99,
        double: bool = True,
        dueling: bool = False,
        n_step: Count = 1,
        prioritized: bool = False,
        noisy: bool = False,
        distributional: Distributional = "none",
        atoms: Count = 51,
        lowest_return: float = -10.0,
        highest_return: float = 10.0,
        head_units: Units = (),
        sigma: Positive = 0.5,
        conservative: Weight = 0.0,
        epsilon: Schedule = Choice("linear", {"start": 1.0, "end": 0.05, "over": 0.2}),  # type: ignore[assignment]
        priority_exponent: Share = 0.6,
        importance: Schedule = Choice("linear", {"start": 0.4, "end": 1.0}),  # type: ignore[assignment]
        frame_stack: NotNegative = 0,
        batch_size: Count = 64,
        buffer_size: Count = 100_000,
        buffer_store: Store = "memory",
        buffer_folder: str = "",
        learning_starts: NotNegative = 1_000,
        train_every: Count = 4,
        updates: Count = 1,
        target_every: Count = 250,
    ) -> None:
        super().__init__(spaces)
        self._actions = _count_actions(spaces.action, self.name)
        self._gamma, self._double, self._target_every = gamma, double, target_every
        self._conservative = conservative
        self._replay = {
            "capacity": buffer_size,
            "batch_size": batch_size,
            "learning_starts": learning_starts,
            "train_every": train_every,
            "updates": updates,
            "n_step": n_step,
            "gamma": gamma,
            "frame_stack": frame_stack,
            "folder": buffer_folder if buffer_store == "disk" else None,
        }
        self._priority_exponent = priority_exponent if prioritized else None
        self._head: Head = head_of(distributional, loss, atoms=atoms, low=lowest_return, high=highest_return)
        self._epsilon: Callable[..., tf.Tensor] = epsilon()
        self._importance: Callable[..., tf.Tensor] = importance()
        self.online, self.target = (
            QNetwork(
                spaces.observation,
                build_backbone(backbone, spaces.observation),
                actions=self._actions,
                width=self._head.width,
                units=head_units,
                dueling=dueling,
                sigma=sigma if noisy else 0.0,
                name=name,
            )
            for name in ("online", "target")
        )
        copy_weights(self.online, self.target)

    @property
    def models(self) -> Mapping[str, keras.Model]:
        """The online and the target network."""
        return {"online": self.online, "target": self.target}

    def backbones(self) -> Sequence[keras.Model]:
        """Returns the online network's and the target network's."""
        return (self.online.backbone, self.target.backbone)

    def values(self, observation: Any) -> tf.Tensor:
        """Returns the expected return of each action, float32 ``[batch, actions]``; without noise."""
        return self._head.values(self.online(observation))

    def act(self, observation: Any, carry: Any, seed: tf.Tensor, *, progress: Progress | None) -> Acted:
        """Acts greedily, or epsilon-greedily with noisy weights while training."""
        if progress is None:
            return Acted(self._to_action(_best(self.values(observation))), carry)
        numbers = self.online(observation, noise=self.online.draw(fold(seed, 1)))
        greedy = _best(self._head.values(numbers))
        epsilon = tf.cast(self._epsilon(progress.env_steps, progress.total), tf.float32)
        count = tf.shape(greedy)[0]
        draws = tf.random.stateless_uniform([2, count], seed)
        random = tf.cast(draws[1] * self._actions, tf.int64)
        action = tf.where(draws[0] < epsilon, random, greedy)
        return Acted(self._to_action(action), carry, self._extras(progress, count), {"epsilon": epsilon})

    def source(self, *, num_envs: int) -> Source:
        """Builds the replay."""
        if self._priority_exponent is None:
            return UniformReplay(self.spaces, num_envs=num_envs, **self._replay)
        return PrioritizedReplay(
            self.spaces, num_envs=num_envs, exponent=self._priority_exponent, signal="q/priority", **self._replay
        )

    def objectives(self) -> Sequence[Objective]:
        """One: the temporal difference."""
        return [Objective("q", self._temporal_difference, self.online.trainable_variables)]

    def after_update(self, update: tf.Tensor) -> None:
        """Copies the online network into the target network every ``target_every`` updates."""
        due = update % self._target_every == 0

        def copy() -> tf.Tensor:
            copy_weights(self.online, self.target)
            return tf.constant(0)

        tf.cond(due, copy, lambda: tf.constant(0))

    def _temporal_difference(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        head, reward = self._head, batch["reward"]
        numbers = self.online(batch["observation"], noise=self.online.draw(fold(seed, 1)), training=True)
        action = tf.cast(batch["action"], tf.int64) - self._start
        taken = self._of(numbers, action)
        following = tf.stop_gradient(self._following(batch["next_observation"], seed))
        discount = discounts(batch, self._gamma)
        losses = head.losses(taken, following, reward, discount)
        prediction = head.values(taken)
        error = reward + discount * head.values(following) - prediction
        aux = {"value": tf.reduce_mean(prediction), "td_error": error}
        if self._priority_exponent is not None:
            aux["priority"] = head.priorities(losses, error)
        if self._conservative:
            excess = overestimation(head.values(numbers), action)
            aux["overestimation"] = tf.reduce_mean(excess)
            losses += self._conservative * excess
        return tf.reduce_mean(batch["weight"] * losses if "weight" in batch else losses), aux

    def _following(self, observation: Any, seed: tf.Tensor) -> tf.Tensor:
        """Returns the target network's numbers of the actions that seem best next, ``[batch, width]``."""
        numbers = self.target(observation, noise=self.target.draw(fold(seed, 2)))
        choosing = self.online(observation, noise=self.online.draw(fold(seed, 3))) if self._double else numbers
        return self._of(numbers, _best(self._head.values(choosing)))

    def _of(self, numbers: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """Picks an action's numbers: ``[batch, actions, width] -> [batch, width]``."""
        return tf.reduce_sum(numbers * tf.one_hot(action, self._actions)[..., None], axis=1)

    def _extras(self, progress: Progress, count: tf.Tensor) -> dict[str, tf.Tensor]:
        """Says how much importance weights count now: the replay knows no end of the run."""
        if self._priority_exponent is None:
            return {}
        now = tf.cast(self._importance(progress.env_steps, progress.total), tf.float32)
        return {"importance": tf.fill([count], now)}

    @property
    def _start(self) -> int:
        return int(self.spaces.action.start)

    def _to_action(self, index: tf.Tensor) -> tf.Tensor:
        return index + self._start


def _best(values: tf.Tensor) -> tf.Tensor:
    return tf.argmax(values, axis=-1, output_type=tf.int64)


def _count_actions(space: gymnasium.Space[Any], agent: str) -> int:
    if not isinstance(space, gymnasium.spaces.Discrete):
        raise UsageError(
            f"{agent} needs a Discrete action space, not {space}",
            hint="agents and what they can do: advdl plugins list --kind agent",
        )
    return int(space.n)
