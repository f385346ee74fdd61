"""An adapted policy as an ordinary agent: it acts, and trains on by the plain policy gradient."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import keras
import tensorflow as tf
from annotated_types import Gt, Interval

from advdl.errors import UsageError
from advdl.plugin import Choice, Factory, Part
from advdl.rl import Acted, Agent, Progress, Source, Spaces
from advdl.rl.distributions import ActionModel
from advdl.rl.returns import returns_to_go
from advdl.rl.rollout import RolloutSource, space_spec
from advdl.training import Aux, Batch, DataSpec, Objective

_SCALAR = tf.TensorSpec((), tf.float32)
_FLAG = tf.TensorSpec((), tf.bool)


class Adapted(Agent):
    """What ``advdl agent adapt`` makes of a meta-trained policy: a policy for one env.

    It trains on by the loss that it adapted by, the policy gradient (Williams 1992): each step is credited with the
    discounted rewards from there to its episode's end, normalised over a rollout. A step whose episode goes on after
    the rollout is not learnt from.

    Args:
        spaces: What the learner takes.
        learner: The policy.
        gamma: Discount factor.
        horizon: Steps of every env copy between two updates.

    Raises:
        UsageError: The learner does not act.
    """

    def __init__(
        self,
        spaces: Spaces,
        *,
        learner: Annotated[Factory, Part("learner")] = Choice("policy"),
        gamma: Annotated[float, Interval(ge=0, le=1)] = 0.99,
        horizon: Annotated[int, Gt(0)] = 500,
    ) -> None:
        super().__init__(spaces)
        self.learner = learner(DataSpec(spaces.observation, spaces.action))
        actions = getattr(self.learner, "actions", None)
        if not isinstance(actions, ActionModel):
            raise UsageError(f"{type(self.learner).__name__} does not act", hint="--set agent.learner.name=policy")
        self._actions, self._gamma, self._horizon = actions, gamma, horizon

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """The learner's."""
        return self.learner.models

    def backbones(self) -> Sequence[keras.Model]:
        """Returns the learner's."""
        return self.learner.backbones()

    def act(self, observation: Any, carry: Any, seed: tf.Tensor, *, progress: Progress | None) -> Acted:
        """Draws actions from the policy while training; else takes the policy's mode."""
        policy = self._actions.distribution(self.learner.predict(observation))
        if progress is None:
            return Acted(self._actions.to_env(policy.mode()), carry)
        raw = policy.sample(seed)
        return Acted(self._actions.to_env(raw), carry, {"raw": raw, "log_prob": policy.log_prob(raw)})

    def source(self, *, num_envs: int) -> Source:
        """Builds the rollout's memory; one update learns from all of it."""
        fields = {"observation": space_spec(self.spaces.observation), "raw": self._actions.raw, "log_prob": _SCALAR}
        fields |= {"reward": _SCALAR, "terminated": _FLAG, "truncated": _FLAG}
        return RolloutSource(
            fields,
            {"advantage": _SCALAR, "weight": _SCALAR},
            hidden=frozenset({"reward", "terminated", "truncated"}),
            num_envs=num_envs,
            horizon=self._horizon,
            epochs=1,
            batch_size=self._horizon * num_envs,
            preparation=_Credits(self._gamma),
            stop=lambda report: tf.constant(False),
        )

    def objectives(self) -> Sequence[Objective]:
        """One: the loss by which the learner adapts."""
        inner = self.learner.objectives()[0]

        def loss(batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
            named = {"x": batch["observation"], "c": batch["raw"]}
            return inner.loss({**named, **{name: batch[name] for name in ("log_prob", "advantage", "weight")}}, seed)

        return [Objective(inner.name, loss, inner.variables)]


class _Credits:
    """Credits each step with what followed it in its episode."""

    def __init__(self, gamma: float) -> None:
        self._gamma = gamma

    def prepare(self, rollout: Mapping[str, Any]) -> Mapping[str, tf.Tensor]:
        ends = rollout["terminated"], rollout["truncated"]
        credit, whole = returns_to_go(rollout["reward"], *ends, gamma=self._gamma)
        known = tf.cast(whole, tf.float32)
        count = tf.maximum(tf.reduce_sum(known), 1.0)
        centred = (credit - tf.reduce_sum(credit * known) / count) * known
        deviation = tf.sqrt(tf.reduce_sum(tf.square(centred)) / count)
        return {"advantage": centred / (deviation + 1e-8), "weight": known}

    def finish(self) -> None:
        """Nothing is left to do."""

    def state(self) -> dict[str, tf.Variable]:
        return {}
