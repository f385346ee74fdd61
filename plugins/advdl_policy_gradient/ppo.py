"""PPO: proximal policy optimisation."""

from collections.abc import Mapping
from typing import Annotated

import tensorflow as tf
from annotated_types import Gt

from advdl.plugin import Choice, Factory, Part
from advdl.rl import Progress, Spaces
from advdl.rl.distributions import Bounds, Distribution
from advdl.training import Aux, Batch
from advdl_policy_gradient.actor_critic import ActorCritic, Settings, as_schedule_of, scheduled
from advdl_policy_gradient.options import Backbone, Count, NotNegative, Share, Steps, Weight


class PPO(ActorCritic):
    """Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347) with generalised advantage estimation.

    Schedules are read by env steps when a step is made.

    Args:
        spaces: Any observation that the backbone takes; ``Discrete``, ``MultiDiscrete``, ``MultiBinary`` or ``Box``
            actions.
        backbone: Turns observations into features.
        shared: Whether policy and value function share one backbone.
        gamma: Discount factor.
        trace: GAE's lambda (Schulman et al. 2016, arXiv:1506.02438).
        horizon: Steps of every env copy between two rounds of updates.
        epochs: How often a round goes through its steps.
        batch_size: Steps in a batch.
        clip: How far the probability ratio may move from 1 with profit: a number or a schedule.
        value_clip: How far a value may move from what it was when acting, with profit; 0 does not clip.
        value_weight: Weight of the value function's squared error.
        entropy: Weight of the policy's entropy: a number or a schedule.
        kl_stop: A round ends after a batch whose estimated KL divergence from the acting policy is above this; 0 never
            ends it. Schedules that count updates, such as the learning rate's, then advance more slowly.
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

    name = "ppo"
    extra_names = ("entropy_weight", "log_prob", "clip")

    def __init__(
        self,
        spaces: Spaces,
        *,
        backbone: Backbone = Choice("mlp", {"units": (64, 64), "activation": "tanh"}),  # type: ignore[assignment]
        shared: bool = False,
        gamma: Share = 0.99,
        trace: Share = 0.95,
        horizon: Count = 128,
        epochs: Count = 10,
        batch_size: Count = 256,
        clip: Annotated[Factory, Part("schedule")] | Annotated[float, Gt(0)] = 0.2,
        value_clip: NotNegative = 0.0,
        value_weight: NotNegative = 0.5,
        entropy: Weight = 0.0,
        kl_stop: NotNegative = 0.0,
        normalise_advantages: bool = True,
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
            epochs=epochs,
            batch_size=batch_size,
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
        self._clip, self._value_clip, self._kl_stop = as_schedule_of(clip), value_clip, kl_stop

    def extras(self, policy: Distribution, raw: tf.Tensor, progress: Progress) -> dict[str, tf.Tensor]:
        """Adds the log-probabilities of the actions and the present clip range."""
        clip = scheduled(self._clip, progress, raw)
        return super().extras(policy, raw, progress) | {"log_prob": policy.log_prob(raw), "clip": clip}

    def stop(self, report: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Says whether the policy has moved too far for the rest of the round."""
        return report["ppo/kl"] > self._kl_stop if self._kl_stop else tf.constant(False)

    def policy_losses(self, batch: Batch, log_prob: tf.Tensor, advantage: tf.Tensor) -> Aux:
        """Returns the clipped surrogate; ``kl`` is Schulman's estimate, the mean of ``ratio - 1 - log ratio``."""
        change, clip = log_prob - batch["log_prob"], batch["clip"]
        ratio = tf.exp(change)
        clipped = tf.clip_by_value(ratio, 1.0 - clip, 1.0 + clip)
        outside = tf.cast(tf.abs(ratio - 1.0) > clip, tf.float32)
        loss = -tf.minimum(ratio * advantage, clipped * advantage)
        return {"policy_loss": loss, "kl": ratio - 1.0 - change, "clip_fraction": outside, "clip": clip}

    def value_losses(self, batch: Batch, value: tf.Tensor) -> tf.Tensor:
        """Returns the squared errors, where asked the greater of each and the clipped value's."""
        if not self._value_clip:
            return super().value_losses(batch, value)
        before = batch["value"]
        near = before + tf.clip_by_value(value - before, -self._value_clip, self._value_clip)
        errors = [tf.square(guess - batch["target"]) for guess in (value, near)]
        return tf.maximum(*errors)
