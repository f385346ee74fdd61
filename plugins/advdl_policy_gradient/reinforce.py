"""REINFORCE, with or without a baseline."""

from collections.abc import Mapping

import tensorflow as tf

from advdl.plugin import Choice
from advdl.rl import Spaces
from advdl.rl.distributions import Bounds
from advdl.rl.returns import returns_to_go
from advdl.training import Aux, Batch
from advdl_policy_gradient.actor_critic import ActorCritic, Settings
from advdl_policy_gradient.options import Backbone, Count, NotNegative, Share, Weight


class REINFORCE(ActorCritic):
    """The Monte Carlo policy gradient (Williams 1992), with a learnt baseline (Sutton et al. 2000) on request.

    Each step is credited with the discounted rewards from there to its episode's end. With a baseline its value is
    taken off, and it stands in for what follows where an episode was truncated or goes on after the rollout. Without
    one, a truncated episode counts as it is, and a step whose episode goes on after the rollout is not learnt from:
    make ``horizon`` several episodes long.

    Args:
        spaces: Any observation that the backbone takes; ``Discrete``, ``MultiDiscrete``, ``MultiBinary`` or ``Box``
            actions.
        backbone: Turns observations into features.
        baseline: Whether a value function, with a backbone of its own, is learnt and taken off the returns.
        gamma: Discount factor.
        horizon: Steps of every env copy between two updates.
        value_weight: Weight of the baseline's squared error.
        entropy: Weight of the policy's entropy: a number or a schedule by env steps.
        normalise_returns: Whether a rollout's credits are shifted and scaled to mean 0 and variance 1.
        normalise_observations: Whether observations are, by running statistics that are part of the network.
        scale_rewards: Whether rewards are divided by the running standard deviation of their discounted sums.
        bounds: How a Gaussian policy keeps to a Box: cut off at its bounds, or squashed into them by a tanh.
        log_std: Logarithm of a Gaussian policy's first standard deviation, where the Box goes from -1 to 1.
        orthogonal: Whether all layers start orthogonal; set it to false for a pretrained backbone.
    """

    name = "reinforce"

    def __init__(
        self,
        spaces: Spaces,
        *,
        backbone: Backbone = Choice("mlp", {"units": (64, 64), "activation": "tanh"}),  # type: ignore[assignment]
        baseline: bool = True,
        gamma: Share = 0.99,
        horizon: Count = 128,
        value_weight: NotNegative = 0.5,
        entropy: Weight = 0.0,
        normalise_returns: bool = True,
        normalise_observations: bool = False,
        scale_rewards: bool = False,
        bounds: Bounds = "clip",
        log_std: float = 0.0,
        orthogonal: bool = True,
    ) -> None:
        settings = Settings(
            backbone=backbone,
            critic=baseline,
            gamma=gamma,
            horizon=horizon,
            value_weight=value_weight if baseline else 0.0,
            entropy=entropy,
            normalise_observations=normalise_observations,
            scale_rewards=scale_rewards,
            bounds=bounds,
            log_std=log_std,
            orthogonal=orthogonal,
        )
        super().__init__(spaces, settings)
        self._normalise_returns = normalise_returns

    def estimate(self, rollout: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns each step's credit, and what the baseline is drawn to."""
        if self.settings.critic:
            estimates = super().estimate(rollout)
            credit, target = estimates["advantage"], estimates["target"]
            known = tf.ones_like(credit)
        else:
            ends = rollout["terminated"], rollout["truncated"]
            credit, whole = returns_to_go(rollout["reward"], *ends, gamma=self.settings.gamma)
            known, target = tf.cast(whole, tf.float32), credit
        return {"advantage": self._weighted(credit, known), "target": target}

    def policy_losses(self, batch: Batch, log_prob: tf.Tensor, advantage: tf.Tensor) -> Aux:
        """Returns ``-G log p``."""
        del batch
        return {"policy_loss": -advantage * log_prob}

    def _weighted(self, credit: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        """Weights steps of unknown credit with 0 and the others so that a mean over all is a mean over them."""
        count = tf.maximum(tf.reduce_sum(known), 1.0)
        if self._normalise_returns:
            credit -= tf.reduce_sum(known * credit) / count
            credit /= tf.sqrt(tf.reduce_sum(known * tf.square(credit)) / count) + 1e-8
        return credit * known * (tf.cast(tf.size(known), tf.float32) / count)
