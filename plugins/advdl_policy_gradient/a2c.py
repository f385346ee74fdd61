"""A2C: advantage actor-critic."""

import tensorflow as tf

from advdl.plugin import Choice
from advdl.rl import Spaces
from advdl.rl.distributions import Bounds
from advdl.training import Aux, Batch
from advdl_policy_gradient.actor_critic import ActorCritic, Settings
from advdl_policy_gradient.options import Backbone, Count, NotNegative, Share, Steps, Weight


class A2C(ActorCritic):
    """Advantage actor-critic: A3C (Mnih et al. 2016, arXiv:1602.01783) with all env copies in step.

    Every ``horizon`` steps there is one update, on all of them.

    Args:
        spaces: Any observation that the backbone takes; ``Discrete``, ``MultiDiscrete``, ``MultiBinary`` or ``Box``
            actions.
        backbone: Turns observations into features.
        shared: Whether policy and value function share one backbone.
        gamma: Discount factor.
        trace: GAE's lambda; 1 gives the paper's n-step returns.
        horizon: Steps of every env copy between two updates.
        value_weight: Weight of the value function's squared error.
        entropy: Weight of the policy's entropy: a number or a schedule by env steps.
        normalise_advantages: Whether each batch's advantages are shifted and scaled to mean 0 and variance 1.
        normalise_observations: Whether observations are, by running statistics that are part of the network.
        scale_rewards: Whether rewards are divided by the running standard deviation of their discounted sums.
        bounds: How a Gaussian policy keeps to a Box: cut off at its bounds, or squashed into them by a tanh.
        log_std: Logarithm of a Gaussian policy's first standard deviation, where the Box goes from -1 to 1.
        orthogonal: Whether all layers start orthogonal; set it to false for a pretrained backbone.
        sde_every: Steps for which a Gaussian policy's noise stays the same function of what is seen (gSDE; Raffin et
            al. 2022, arXiv:2005.05719); ``log_std`` is then that of the function's weights. 0 draws plain noise anew at
            every step.
    """

    name = "a2c"

    def __init__(
        self,
        spaces: Spaces,
        *,
        backbone: Backbone = Choice("mlp", {"units": (64, 64), "activation": "tanh"}),  # type: ignore[assignment]
        shared: bool = False,
        gamma: Share = 0.99,
        trace: Share = 1.0,
        horizon: Count = 5,
        value_weight: NotNegative = 0.5,
        entropy: Weight = 0.0,
        normalise_advantages: bool = False,
        normalise_observations: bool = False,
        scale_rewards: bool = False,
        bounds: Bounds = "clip",
        log_std: float = 0.0,
        orthogonal: bool = True,
        sde_every: Steps = 0,
    ) -> None:
        settings = Settings(
            backbone=backbone,
            shared=shared,
            gamma=gamma,
            trace=trace,
            horizon=horizon,
            value_weight=value_weight,
            entropy=entropy,
            normalise_advantages=normalise_advantages,
            normalise_observations=normalise_observations,
            scale_rewards=scale_rewards,
            bounds=bounds,
            log_std=log_std,
            orthogonal=orthogonal,
            sde_every=sde_every,
        )
        super().__init__(spaces, settings)

    def policy_losses(self, batch: Batch, log_prob: tf.Tensor, advantage: tf.Tensor) -> Aux:
        """Returns ``-A log p``."""
        del batch
        return {"policy_loss": -advantage * log_prob}
