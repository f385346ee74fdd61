"""WorldModel: any sampler of (next observation, reward, termination) given (observation, action), as an env."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.rl.functional import CompiledEnv
from advdl.rl.spaces import Spaces
from advdl.rl.transitions import TransitionCodec
from advdl.training.randomness import fold
from advdl.training.sampler import Sampler


class Imagined(NamedTuple):
    """The state of an imagined episode, each ``[batch, ...]``.

    Attributes:
        observation: What the agent sees.
        reward: What the last step brought.
        terminated: Whether the model says that the episode ended, or is no longer sure of itself.
        uncertainty: By how much its answers differed, in standard deviations of the real data.
    """

    observation: tf.Tensor
    reward: tf.Tensor
    terminated: tf.Tensor
    uncertainty: tf.Tensor


class WorldModel(CompiledEnv):
    """Episodes begin at real observations and go on as the samplers say, for at most ``horizon`` steps.

    Each step asks every sampler, and takes the answer of one of them, drawn anew for each copy. Where their answers
    differ by more than ``max_uncertainty`` the episode ends there with ``penalty``: outside of the data a model is
    wrong with confidence, and an agent learns to go where it flatters (Janner et al. 2019, arXiv:1906.08253; Kidambi
    et al. 2020, arXiv:2005.05951). It also ends where an observation leaves the range of the real ones: there nothing
    is known, and what is said of it grows without bound. A single sampler is asked twice, which shows how noisy its
    answer is rather than how far the data are.

    The samplers are learners and remain so: refit them, and the env follows.

    Args:
        samplers: Samplers of ``TransitionCodec(spaces).outcome_spec``, one or an ensemble.
        spaces: The real env's spaces.
        transitions: Real transitions: where episodes begin, and the scale of uncertainty.
        horizon: Steps after which an episode is truncated; None for never.
        max_uncertainty: In standard deviations of the real outcomes; infinite never stops.
        penalty: Taken off the reward of a step that ends an episode for uncertainty.
        margin: By how much the range of each component of the real observations is widened, as a share of it.
        reward: ``reward(observation, action, next_observation) -> [batch]``, traceable, in the place of what the
            samplers say: where the reward is known, or is to be another than the one that they were fitted to.

    Raises:
        UsageError: There is no sampler or no transition, or a sampler is of other data.
    """

    def __init__(
        self,
        samplers: Sequence[Sampler],
        spaces: Spaces,
        transitions: Mapping[str, Any],
        *,
        horizon: int | None = 15,
        max_uncertainty: float = float("inf"),
        penalty: float = 0.0,
        margin: float = 0.1,
        reward: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    ) -> None:
        self.codec = TransitionCodec(spaces)
        self._samplers = tuple(samplers)
        _check(self._samplers, self.codec, transitions)
        self.observation_space, self.action_space = spaces.observation, spaces.action
        self.max_episode_steps = horizon  # type: ignore[misc]  # an env's own: a model's horizon is its builder's
        self._max_uncertainty, self._penalty, self._margin = max_uncertainty, penalty, margin
        self._known_reward = reward
        self._starts = tf.Variable(transitions["observation"], trainable=False)
        self._scale = tf.Variable(self._scales(transitions), trainable=False)
        self._range = tf.Variable(self._seen(transitions), trainable=False)
        super().__init__()

    def refresh(self, transitions: Mapping[str, Any], seed: int) -> None:
        """Takes new real transitions: as many beginnings as before are drawn from them."""
        rows = np.random.default_rng(seed).integers(0, len(transitions["observation"]), self._starts.shape[0])
        self._starts.assign(np.asarray(transitions["observation"])[rows])
        self._scale.assign(self._scales(transitions))
        self._range.assign(self._seen(transitions))

    def state(self) -> dict[str, tf.Variable]:
        """Returns beginnings, scale and range by name, for the checkpoint; the samplers' variables are theirs."""
        return {"starts": self._starts, "scale": self._scale, "range": self._range}

    def initial(self, rng: tf.Tensor, params: Any = None, *, batch_size: int = 1) -> Imagined:
        """Draws real observations."""
        del params
        rows = tf.random.stateless_uniform([batch_size], rng, 0, self._starts.shape[0], tf.int32)
        zeros = tf.zeros([batch_size])
        return Imagined(tf.gather(self._starts.read_value(), rows), zeros, tf.zeros([batch_size], tf.bool), zeros)

    def transition(self, state: Imagined, action: tf.Tensor, rng: tf.Tensor, params: Any = None) -> Imagined:
        """Asks the samplers."""
        del params
        answers = self._answers(state, action, rng)
        uncertainty = self._disagreement(answers)
        read = self.codec.read_outcome(state.observation, self._chosen(answers, rng))
        following, left = self._within(read["next_observation"])
        unsure = left | (uncertainty > self._max_uncertainty)
        reward = read["reward"]
        if self._known_reward is not None:
            reward = tf.cast(self._known_reward(state.observation, action, following), tf.float32)
        reward -= self._penalty * tf.cast(unsure, tf.float32)
        return Imagined(following, reward, read["terminated"] | unsure, uncertainty)

    def observation(self, state: Imagined, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        """Returns the observation."""
        del rng, params
        return state.observation

    def reward(
        self, state: Imagined, action: tf.Tensor, next_state: Imagined, rng: tf.Tensor, params: Any = None
    ) -> tf.Tensor:
        """Returns what the model said with the next observation."""
        del state, action, rng, params
        return next_state.reward

    def terminal(self, state: Imagined, rng: tf.Tensor, params: Any = None) -> tf.Tensor:
        """Returns what the model said, and whether it was unsure."""
        del rng, params
        return state.terminated

    def _answers(self, state: Imagined, action: tf.Tensor, rng: tf.Tensor) -> list[tf.Tensor]:
        """Returns the answers, each ``[batch, outcome]``."""
        c, count = self.codec.given(state.observation, action), int(action.shape[0])
        asked = self._samplers
        if len(asked) == 1 and np.isfinite(self._max_uncertainty):
            asked = asked * 2
        return [sampler.sample(c, count, fold(rng, 10 + index)) for index, sampler in enumerate(asked)]

    def _chosen(self, answers: list[tf.Tensor], rng: tf.Tensor) -> tf.Tensor:
        if len(self._samplers) == 1:
            return answers[0]
        count = answers[0].shape[0]
        which = tf.random.stateless_uniform([count], fold(rng, 3), 0, len(answers), tf.int32)
        return tf.gather(tf.stack(answers, axis=1), which, axis=1, batch_dims=1)

    def _disagreement(self, answers: list[tf.Tensor]) -> tf.Tensor:
        """The root mean square, over components, of the answers' standard deviations."""
        if len(answers) == 1:
            return tf.zeros([answers[0].shape[0]])
        scaled = tf.stack(answers) / self._scale
        return tf.sqrt(tf.reduce_mean(tf.math.reduce_variance(scaled, axis=0), axis=-1))

    def _within(self, observation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the observation kept to the widened range of real ones, and whether it had left that, ``[batch]``.

        An image is never outside: that a pixel has not been lit yet says little.
        """
        if self.codec.sees_images:
            return observation, tf.zeros([observation.shape[0]], tf.bool)
        low, high = tf.unstack(tf.cast(self._range.read_value(), observation.dtype))
        kept = tf.clip_by_value(observation, low, high)
        return kept, tf.reduce_any(kept != observation, axis=-1)

    def _seen(self, transitions: Mapping[str, Any]) -> NDArray[np.float32]:
        """Returns the range of real observations, those that episodes ended with among them, widened: ``[2, size]``."""
        both = np.concatenate([np.asarray(transitions[name]) for name in ("observation", "next_observation")])
        low, high = (end.astype(np.float32) for end in (both.min(axis=0), both.max(axis=0)))
        wider = self._margin * (high - low)
        seen: NDArray[np.float32] = np.stack([low - wider, high + wider]).astype(np.float32)
        return seen

    def _scales(self, transitions: Mapping[str, Any]) -> NDArray[np.float32]:
        deviation = np.std(self.codec.outcome(transitions).numpy(), axis=0)
        scales: NDArray[np.float32] = np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)
        return scales


def _check(samplers: tuple[Sampler, ...], codec: TransitionCodec, transitions: Mapping[str, Any]) -> None:
    if not samplers:
        raise UsageError("a world model needs at least one sampler")
    if not len(transitions["observation"]):
        raise UsageError("a world model needs real transitions to begin at, and got none")
    for sampler in samplers:
        if sampler.spec != codec.outcome_spec:
            raise UsageError(
                f"a world model needs a sampler of {codec.outcome_spec.x} given {codec.outcome_spec.c}, "
                f"not of {sampler.spec.x} given {sampler.spec.c}",
                hint="build it with TransitionCodec(spaces).outcome_spec",
            )
