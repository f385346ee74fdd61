"""DQN: deep Q-learning with experience replay and a target network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import gymnasium
import keras
import tensorflow as tf
from annotated_types import Ge, Gt, Interval

from advdl.errors import UsageError
from advdl.plugin import Choice, Factory, Part
from advdl.rl import Acted, Agent, Progress, Source, Spaces, UniformReplay
from advdl.training import Aux, Batch, Objective
from advdl_dqn.network import copy_weights, q_network


class DQN(Agent):
    """Deep Q-Network (Mnih et al. 2015) with double Q-learning (van Hasselt et al. 2016).

    Args:
        spaces: Any observation that the backbone takes; ``Discrete`` actions.
        backbone: Turns observations into features.
        loss: Compares Q-values with their targets.
        gamma: Discount factor.
        double: Choose the next action with the online network and value it with the target network.
        epsilon: Share of random actions, by env steps.
        batch_size: Transitions in a batch.
        buffer_size: Transitions that the replay keeps.
        learning_starts: Env steps before the first update.
        train_every: Env steps from one round of updates to the next.
        updates: Updates in a round.
        target_every: Updates from one copy of the online network into the target network to the next.
    """

    def __init__(
        self,
        spaces: Spaces,
        *,
        backbone: Annotated[Factory, Part("backbone")] = Choice("mlp", {"units": (128, 128)}),
        loss: Annotated[Factory, Part("loss")] = Choice("huber"),
        gamma: Annotated[float, Interval(ge=0, le=1)] = 0.99,
        double: bool = True,
        epsilon: Annotated[Factory, Part("schedule")] = Choice("linear", {"start": 1.0, "end": 0.05, "over": 0.2}),
        batch_size: Annotated[int, Gt(0)] = 64,
        buffer_size: Annotated[int, Gt(0)] = 100_000,
        learning_starts: Annotated[int, Ge(0)] = 1_000,
        train_every: Annotated[int, Gt(0)] = 4,
        updates: Annotated[int, Gt(0)] = 1,
        target_every: Annotated[int, Gt(0)] = 250,
    ) -> None:
        super().__init__(spaces)
        self._actions = _count_actions(spaces.action)
        self._gamma, self._double, self._target_every = gamma, double, target_every
        self._replay = {
            "capacity": buffer_size,
            "batch_size": batch_size,
            "learning_starts": learning_starts,
            "train_every": train_every,
            "updates": updates,
        }
        self._loss: keras.losses.Loss = loss()
        self._epsilon: Callable[..., tf.Tensor] = epsilon()
        self.online = q_network(backbone(spaces.observation), self._actions, "online")
        self.target = q_network(backbone(spaces.observation), self._actions, "target")
        copy_weights(self.online, self.target)

    @property
    def models(self) -> Mapping[str, keras.Model]:
        """The online and the target network."""
        return {"online": self.online, "target": self.target}

    def act(self, observation: Any, carry: Any, seed: tf.Tensor, *, progress: Progress | None) -> Acted:
        """Acts greedily, or epsilon-greedily while training."""
        greedy = tf.argmax(self.online(observation), axis=-1, output_type=tf.int64)
        if progress is None:
            return Acted(self._to_action(greedy), carry)
        epsilon = tf.cast(self._epsilon(progress.env_steps, progress.total), tf.float32)
        count = tf.shape(greedy)[0]
        draws = tf.random.stateless_uniform([2, count], seed)
        random = tf.cast(draws[1] * self._actions, tf.int64)
        action = tf.where(draws[0] < epsilon, random, greedy)
        return Acted(self._to_action(action), carry, metrics={"epsilon": epsilon})

    def source(self, *, num_envs: int) -> Source:
        """Builds the replay."""
        spaces = self.spaces
        return UniformReplay(spaces, num_envs=num_envs, **self._replay)

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
        del seed
        index = tf.cast(batch["action"], tf.int64) - self._start
        taken = tf.one_hot(index, self._actions)
        prediction = tf.reduce_sum(self.online(batch["observation"], training=True) * taken, axis=-1)
        target = tf.stop_gradient(self._target_value(batch))
        loss = tf.reduce_mean(self._loss.call(target[:, None], prediction[:, None]))
        return loss, {"value": tf.reduce_mean(prediction), "td_error": target - prediction}

    def _target_value(self, batch: Batch) -> tf.Tensor:
        """``r + gamma * Q(s', a')``, without the second term where the episode terminated; truncation bootstraps."""
        values = self.target(batch["next_observation"])
        choosing = self.online(batch["next_observation"]) if self._double else values
        best = tf.one_hot(tf.argmax(choosing, axis=-1), self._actions)
        following = tf.reduce_sum(values * best, axis=-1)
        return batch["reward"] + self._gamma * tf.where(batch["terminated"], 0.0, following)

    @property
    def _start(self) -> int:
        return int(self.spaces.action.start)

    def _to_action(self, index: tf.Tensor) -> tf.Tensor:
        return index + self._start


def _count_actions(space: gymnasium.Space[Any]) -> int:
    if not isinstance(space, gymnasium.spaces.Discrete):
        raise UsageError(
            f"dqn needs a Discrete action space, not {space}",
            hint="agents and what they can do: advdl plugins list --kind agent",
        )
    return int(space.n)
