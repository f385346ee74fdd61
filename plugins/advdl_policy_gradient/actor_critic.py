"""What the agents of this family share: acting, collecting, advantages, the loss around the policy's own term."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from advdl.errors import UsageError
from advdl.plugin import Factory
from advdl.rl import Acted, Agent, Progress, Source, Spaces
from advdl.rl.distributions import Bounds, Distribution, action_model
from advdl.rl.normalise import RewardScale
from advdl.rl.returns import advantages
from advdl.rl.rollout import RolloutSource, space_spec
from advdl.training import Aux, Batch, Objective
from advdl_policy_gradient.network import PolicyNetwork
from advdl_policy_gradient.preparation import RolloutPreparation

_SCALAR = tf.TensorSpec((), tf.float32)
_FLAG = tf.TensorSpec((), tf.bool)


@dataclass(frozen=True, slots=True)
class Settings:
    """Options that every agent of the family has; their meaning is in the agents' docstrings."""

    backbone: Factory
    bounds: Bounds
    log_std: float
    orthogonal: bool
    normalise_observations: bool
    scale_rewards: bool
    gamma: float
    horizon: int
    entropy: Any
    shared: bool = False
    critic: bool = True
    trace: float = 1.0
    epochs: int = 1
    batch_size: int | None = None
    value_weight: float = 0.5
    normalise_advantages: bool = False
    sde_every: int = 0


class ActorCritic(Agent):
    """A policy and, beside it, a value function that says how much better an action was than expected.

    Args:
        spaces: What the agent sees and can do.
        settings: The options.
    """

    name: ClassVar[str]

    def __init__(self, spaces: Spaces, settings: Settings) -> None:
        super().__init__(spaces)
        self.settings = settings
        self.actions = action_model(spaces.action, bounds=settings.bounds, agent=self.name)
        if settings.sde_every and not self.actions.free:
            raise UsageError(
                f"agent.sde_every is for Box actions, not for {spaces.action}",
                hint="leave it out: --set agent.sde_every=0",
            )
        self.network = PolicyNetwork(
            spaces.observation,
            self.actions,
            settings.backbone,
            shared=settings.shared,
            critic=settings.critic,
            normalise=settings.normalise_observations,
            orthogonal=settings.orthogonal,
            log_std=settings.log_std,
            explores_by_state=settings.sde_every > 0,
        )
        self.reward_scale = RewardScale() if settings.scale_rewards else None
        self._entropy = as_schedule_of(settings.entropy)

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """The network, and the scale of rewards where there is one."""
        scale = {} if self.reward_scale is None else {"reward_scale": self.reward_scale}
        return {"network": self.network, **scale}

    def backbones(self) -> Sequence[keras.Model]:
        """Returns the policy's, and the value function's where it has its own."""
        return tuple(each for each in (self.network.actor, self.network.critic) if each is not None)

    def act(self, observation: Any, carry: Any, seed: tf.Tensor, *, progress: Progress | None) -> Acted:
        """Draws actions from the policy while training; else takes the policy's mode."""
        parameters, value, features = self.network.with_features(observation)
        policy = self.actions.distribution(parameters)
        if progress is None:
            return Acted(self.actions.to_env(policy.mode()), carry)
        raw = self._explored(policy, features, seed, progress) if self.settings.sde_every else policy.sample(seed)
        extras = {"raw": raw, **self.extras(policy, raw, progress)}
        extras |= {"value": value} if self.settings.shared else {}
        return Acted(self.actions.to_env(raw), carry, extras)

    def source(self, *, num_envs: int) -> Source:
        """Builds the rollout's memory."""
        observation = space_spec(self.spaces.observation)
        fields = {"observation": observation, "next_observation": observation, "raw": self.actions.raw}
        fields |= {"reward": _SCALAR, "terminated": _FLAG, "truncated": _FLAG}
        horizon, batch_size = self.settings.horizon, self.settings.batch_size
        # With one backbone for both, who acts has the value for nothing; the value function's own sees more at a time.
        value = {"value": _SCALAR}
        fields |= dict.fromkeys(self.extra_names, _SCALAR)
        columns = dict.fromkeys(("advantage", "target"), _SCALAR)
        return RolloutSource(
            fields | (value if self.settings.shared else {}),
            columns | ({} if self.settings.shared else value),
            hidden=frozenset({"next_observation", "reward", "terminated", "truncated"}),
            num_envs=num_envs,
            horizon=horizon,
            epochs=self.settings.epochs,
            batch_size=batch_size or horizon * num_envs,
            preparation=RolloutPreparation(self, num_envs),
            stop=self.stop,
        )

    def objectives(self) -> Sequence[Objective]:
        """One: the policy's loss, the value function's and the entropy's, weighted."""
        return [Objective(self.name, self._loss, self.network.trainable_variables)]

    extra_names: ClassVar[tuple[str, ...]] = ("entropy_weight",)
    """What ``extras`` returns."""

    def extras(self, policy: Distribution, raw: tf.Tensor, progress: Progress) -> dict[str, tf.Tensor]:
        """Returns what is stored of the moment of acting, each ``[num_envs]``; schedules are read here.

        Args:
            policy: What the actions were drawn from.
            raw: The actions.
            progress: How far the run is.
        """
        del policy
        return {"entropy_weight": scheduled(self._entropy, progress, raw)}

    def estimate(self, rollout: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns advantages and what values are drawn to, each ``[horizon, num_envs]``.

        Args:
            rollout: What was stored, rewards scaled, and ``next_value``.
        """
        advantage = advantages(
            rollout["reward"],
            rollout["value"],
            rollout["next_value"],
            rollout["terminated"],
            rollout["truncated"],
            gamma=self.settings.gamma,
            trace=self.settings.trace,
        )
        return {"advantage": advantage, "target": advantage + rollout["value"]}

    def stop(self, report: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Says from an update's report whether the rest of the round is left out."""
        del report
        return tf.constant(False)

    @abc.abstractmethod
    def policy_losses(self, batch: Batch, log_prob: tf.Tensor, advantage: tf.Tensor) -> Aux:
        """Returns each sample's ``policy_loss``, and whatever else the means are to be reported of, all ``[batch]``.

        Args:
            batch: What was stored and estimated.
            log_prob: Log-probabilities of the stored actions under the present policy.
            advantage: Advantages, normalised where that is asked for.
        """

    def prepare(self, batch: Batch) -> Batch:
        """Normalises advantages over the whole batch, where that is asked for."""
        if not self.settings.normalise_advantages:
            return batch
        return {**batch, "advantage": standardised(batch["advantage"])}

    def value_losses(self, batch: Batch, value: tf.Tensor) -> tf.Tensor:
        """Returns the squared errors of the values, ``[batch]``."""
        return tf.square(value - batch["target"])

    def _explored(self, policy: Distribution, features: Any, seed: tf.Tensor, progress: Progress) -> tf.Tensor:
        """Draws raw actions by noise that stays the same function of what is seen for ``sde_every`` steps."""
        steps = progress.env_steps / tf.cast(tf.shape(features)[0], tf.float32)
        period = tf.cast(steps / self.settings.sde_every, tf.int32)
        return policy.mode() + self.network.noise(features, tf.stack([seed[0], period]))

    def _loss(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        del seed
        parameters, value = self.network(batch["observation"], training=True)
        policy = self.actions.distribution(parameters)
        entropy, weight = policy.entropy(), batch["entropy_weight"]
        terms = self.policy_losses(batch, policy.log_prob(batch["raw"]), batch["advantage"])
        losses = {"value_loss": self.value_losses(batch, value), "entropy": entropy, "entropy_weight": weight}
        means = _means({**terms, **losses, "bonus": weight * entropy})
        loss = means["policy_loss"] + self.settings.value_weight * means["value_loss"] - means.pop("bonus")
        return loss, means


def standardised(values: tf.Tensor) -> tf.Tensor:
    """Shifts and scales to mean 0 and variance 1."""
    centred = values - tf.reduce_mean(values)
    return centred / (tf.sqrt(tf.reduce_mean(tf.square(centred))) + 1e-8)


def _means(samples: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the means of several ``[batch]``, all of one sum: a sum for each is slower, and slower to compile."""
    rows = tf.stack([tf.cast(values, tf.float32) for values in samples.values()])
    return dict(zip(samples, tf.unstack(tf.reduce_mean(rows, axis=1)), strict=True))


def as_schedule_of(value: Any) -> Callable[..., Any]:
    """Returns the schedule of an option that is a number or a schedule."""
    from advdl.training.schedules import as_schedule

    return as_schedule(value() if callable(value) else value)


def scheduled(schedule: Callable[..., Any], progress: Progress, like: tf.Tensor) -> tf.Tensor:
    """Returns a schedule's present value for each env copy, ``[num_envs]``."""
    now = tf.cast(schedule(progress.env_steps, progress.total), tf.float32)
    return tf.fill(tf.shape(like)[:1], now)
