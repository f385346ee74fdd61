"""Expected SARSA on deep networks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import gymnasium
import keras
import tensorflow as tf
from advdl.errors import UsageError
from advdl.plugin import Choice, Factory, Part
from advdl.rl import Acted, Agent, Progress, Source, Spaces, UniformReplay
from advdl.training import Aux, Batch, Objective
from annotated_types import Gt, Interval


class ExpectedSarsa(Agent):
    """Learns the value of the policy that it follows, exploration included (van Seijen et al. 2009).

    Where Q-learning takes the best of the next values, expected SARSA takes their mean under a policy that is
    epsilon-greedy: ``r + gamma * ((1 - epsilon) * max Q + epsilon * mean Q)``. On a cliff it keeps away from the edge.

    Args:
        spaces: Any observation that the backbone takes; ``Discrete`` actions.
        backbone: Turns observations into features.
        loss: Compares values with their targets.
        gamma: Discount factor.
        epsilon: Share of random actions, by env steps.
        cautious: Epsilon of the policy whose value is learnt; 0 makes it Q-learning.
        batch_size: Transitions in a batch.
        buffer_size: Transitions that the replay keeps.
        learning_starts: Env steps before the first update.
        train_every: Env steps from one round of updates to the next.
        updates: Updates in a round.
        target_share: Share of the online network that flows into the target network at every update.
    """

    def __init__(
        self,
        spaces: Spaces,
        *,
        backbone: Annotated[Factory, Part("backbone")] = Choice("mlp", {"units": (128, 128)}),
        loss: Annotated[Factory, Part("loss")] = Choice("huber"),
        gamma: Annotated[float, Interval(ge=0, le=1)] = 0.99,
        epsilon: Annotated[Factory, Part("schedule")] = Choice("linear", {"start": 1.0, "end": 0.05, "over": 0.2}),
        cautious: Annotated[float, Interval(ge=0, le=1)] = 0.05,
        batch_size: Annotated[int, Gt(0)] = 64,
        buffer_size: Annotated[int, Gt(0)] = 50_000,
        learning_starts: Annotated[int, Gt(0)] = 1_000,
        train_every: Annotated[int, Gt(0)] = 16,
        updates: Annotated[int, Gt(0)] = 8,
        target_share: Annotated[float, Interval(gt=0, le=1)] = 0.01,
    ) -> None:
        super().__init__(spaces)
        if not isinstance(spaces.action, gymnasium.spaces.Discrete):
            raise UsageError(f"sarsa needs Discrete actions, not {spaces.action}")
        self._actions, self._first = int(spaces.action.n), int(spaces.action.start)
        self._gamma, self._cautious, self._share = gamma, cautious, target_share
        self._replay = {
            "capacity": buffer_size,
            "batch_size": batch_size,
            "learning_starts": learning_starts,
            "train_every": train_every,
            "updates": updates,
        }
        self._loss: keras.losses.Loss = loss()
        self._epsilon: Callable[..., tf.Tensor] = epsilon()
        self._online, self._target = (
            self._network(backbone(spaces.observation), name) for name in ("online", "target")
        )
        self._target.set_weights(self._online.get_weights())

    @property
    def models(self) -> Mapping[str, keras.Model]:
        """The online and the target network."""
        return {"online": self._online, "target": self._target}

    def act(self, observation: Any, carry: Any, seed: tf.Tensor, *, progress: Progress | None) -> Acted:
        """Acts greedily, or epsilon-greedily while training."""
        greedy = tf.argmax(self._online(observation), axis=-1, output_type=tf.int64)
        if progress is None:
            return Acted(greedy + self._first, carry)
        epsilon = tf.cast(self._epsilon(progress.env_steps, progress.total), tf.float32)
        draws = tf.random.stateless_uniform([2, tf.shape(greedy)[0]], seed)
        random = tf.cast(draws[1] * self._actions, tf.int64)
        action = tf.where(draws[0] < epsilon, random, greedy)
        return Acted(action + self._first, carry, metrics={"epsilon": epsilon})

    def source(self, *, num_envs: int) -> Source:
        """Builds the replay."""
        return UniformReplay(self.spaces, num_envs=num_envs, **self._replay)

    def objectives(self) -> Sequence[Objective]:
        """One: the temporal difference."""
        return [Objective("q", self._temporal_difference, self._online.trainable_variables)]

    def after_update(self, update: tf.Tensor) -> None:
        """Lets the target network follow the online network."""
        for target, online in zip(self._target.variables, self._online.variables, strict=True):
            target.assign(target.value + self._share * (online.value - target.value))

    def expected(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the mean value ``[batch]`` of an epsilon-greedy policy from action values ``[batch, actions]``."""
        best, mean = tf.reduce_max(values, axis=-1), tf.reduce_mean(values, axis=-1)
        return (1.0 - self._cautious) * best + self._cautious * mean

    def _temporal_difference(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        taken = tf.one_hot(tf.cast(batch["action"], tf.int64) - self._first, self._actions)
        prediction = tf.reduce_sum(self._online(batch["observation"], training=True) * taken, axis=-1)
        following = self.expected(self._target(batch["next_observation"]))
        target = batch["reward"] + self._gamma * tf.where(batch["terminated"], 0.0, following)
        target = tf.stop_gradient(target)
        loss = tf.reduce_mean(self._loss.call(target[:, None], prediction[:, None]))
        return loss, {"value": tf.reduce_mean(prediction), "td_error": target - prediction}

    def _network(self, features: keras.Model, name: str) -> keras.Model:
        values = keras.layers.Dense(self._actions, dtype="float32", name="q")(features.output)
        return keras.Model(features.input, values, name=name)
