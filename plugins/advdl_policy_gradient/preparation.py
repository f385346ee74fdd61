"""From a full rollout to advantages; and when running statistics take effect."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from advdl.rl.returns import discounted_sums, next_values

if TYPE_CHECKING:
    from advdl_policy_gradient.actor_critic import ActorCritic


class RolloutPreparation:
    """Prepares one agent's rollouts.

    Observations' statistics wait until the round's updates are made, so that the policy that learns is the one that
    acted. Rewards' take effect at once: no policy sees rewards.

    Args:
        agent: Whose network values observations.
        num_envs: Env copies that are stepped together.
    """

    def __init__(self, agent: "ActorCritic", num_envs: int) -> None:
        self._agent = agent
        self._sums = tf.Variable(tf.zeros([num_envs]), trainable=False)

    def prepare(self, rollout: Mapping[str, Any]) -> Mapping[str, tf.Tensor]:
        """Scales rewards, values observations and estimates advantages."""
        network = self._agent.network
        valued = {} if "value" in rollout else {"value": self._values(rollout)}
        if network.normalise is not None:
            network.normalise.observe(rollout["observation"])
        known = {**rollout, **valued, "reward": self._scaled(rollout)}
        return {**self._agent.estimate({**known, "next_value": self._next_value(known)}), **valued}

    def finish(self) -> None:
        """Lets the policy see with the new statistics."""
        if self._agent.network.normalise is not None:
            self._agent.network.normalise.commit()

    def state(self) -> dict[str, tf.Variable]:
        """Returns each env copy's discounted sum of rewards."""
        return {} if self._agent.reward_scale is None else {"discounted": self._sums}

    def _values(self, rollout: Mapping[str, Any]) -> tf.Tensor:
        values = self._agent.network(tf.nest.map_structure(_flat, rollout["observation"]))[1]
        return tf.reshape(values, tf.shape(rollout["reward"]))

    def _next_value(self, rollout: Mapping[str, Any]) -> tf.Tensor:
        observations = tf.nest.map_structure(_flat, rollout["next_observation"])

        def valued(places: tf.Tensor) -> tf.Tensor:
            return self._agent.network(tf.nest.map_structure(lambda leaf: tf.gather(leaf, places), observations))[1]

        return next_values(rollout["value"], rollout["truncated"], valued)

    def _scaled(self, rollout: Mapping[str, Any]) -> tf.Tensor:
        reward, scale = rollout["reward"], self._agent.reward_scale
        if scale is None:
            return reward
        ended = rollout["terminated"] | rollout["truncated"]
        sums, last = discounted_sums(reward, ended, self._sums.read_value(), gamma=self._agent.settings.gamma)
        self._sums.assign(last)
        scale.observe(sums)
        scale.commit()
        return scale(reward)


def _flat(leaf: tf.Tensor) -> tf.Tensor:
    return tf.reshape(leaf, (-1, *leaf.shape[2:]))
