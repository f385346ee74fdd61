"""What the five games share: keys that stick, the board that is seen, how it is drawn."""

import abc
import colorsys
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from annotated_types import Interval
from gymnasium import spaces
from numpy.typing import NDArray

from advdl.rl.functional import CompiledEnv
from advdl_envs.draw import uniform
from advdl_envs.minatar.grid import SIDE
from advdl_envs.params import with_overrides

NONE, LEFT, UP, RIGHT, DOWN, FIRE = range(6)

_PIXELS = 32  # of a cell's side in a frame


class MinAtarParams(NamedTuple):
    """What can be changed of a game; every field is a scalar or a tensor of shape [batch].

    Attributes:
        sticky_action_prob: How likely it is that the last action is repeated instead of the one that was chosen.
        difficulty_ramping: 1 if the game becomes harder with time, 0 if not. Breakout and Freeway never do.
    """

    sticky_action_prob: Any = 0.1
    difficulty_ramping: Any = 1.0


class Game(CompiledEnv):
    """A game of MinAtar. Its state is a NamedTuple with ``last_action``, ``reward`` and ``ended`` among its fields.

    Equals the package ``minatar`` in every state, reward and termination. One thing differs: an episode begins with
    "nothing" as the last action, where the package still knows the last episode's.

    The package sets no time limit and a good player's episode need not end, so these have gymnax's: 1,000 steps.

    Args:
        sticky_action_prob: How likely it is that the last action is repeated instead of the one that was chosen.
        difficulty_ramping: Whether the game becomes harder with time.
        minimal_actions: Whether there are only the actions that do something in this game, as in the package's
            envs ``-v1``, instead of all six: nothing, left, up, right, down, fire.
    """

    max_episode_steps: ClassVar[int | None] = 1000
    env_id: ClassVar[str]
    channels: ClassVar[tuple[str, ...]]
    keys: ClassVar[tuple[int, ...]]
    """The actions that do something."""
    chances: ClassVar[int] = 0
    """How many random numbers a step needs."""

    def __init__(
        self,
        *,
        sticky_action_prob: Annotated[float, Interval(ge=0, le=1)] = 0.1,
        difficulty_ramping: bool = True,
        minimal_actions: bool = False,
    ) -> None:
        self._defaults = MinAtarParams(sticky_action_prob, float(difficulty_ramping))
        self._actions = self.keys if minimal_actions else tuple(range(6))
        shape = (SIDE, SIDE, len(self.channels))
        self.observation_space = spaces.Box(0, 1, shape, np.bool_)
        self.action_space = spaces.Discrete(len(self._actions))
        super().__init__()

    def get_default_params(self, **overrides: Any) -> MinAtarParams:
        """Returns the options as params, with ``overrides``."""
        return with_overrides(self._defaults, overrides, self.env_id)

    def transition(self, state: Any, action: tf.Tensor, rng: tf.Tensor, params: MinAtarParams | None = None) -> Any:
        """Makes one step with the action, or with the last one where that sticks."""
        p = params or self.default_params
        draws = self.draws(rng, state.last_action.shape[0] or tf.shape(state.last_action)[0])
        stuck = draws[:, 0] < p.sticky_action_prob
        key = tf.where(stuck, state.last_action, self._key(action))
        harder = tf.cast(p.difficulty_ramping, tf.float32) > 0.0
        return self.play(state, key, draws[:, 1:], harder)._replace(last_action=key)

    def draws(self, rng: tf.Tensor, batch_size: Any) -> tf.Tensor:
        """Returns a step's chances in [0, 1), the first for sticking: float32 ``[batch, 1 + chances]``."""
        return uniform([batch_size, 1 + self.chances], rng, 0.0, 1.0)

    @abc.abstractmethod
    def play(self, state: Any, key: tf.Tensor, chance: tf.Tensor, harder: tf.Tensor) -> Any:
        """Makes one step of the game's own.

        Args:
            state: Where the game is.
            key: One of the six actions, int32 ``[batch]``.
            chance: Random numbers in [0, 1), float32 ``[batch, chances]``.
            harder: Whether difficulty ramps, bool, a scalar or ``[batch]``.
        """

    @abc.abstractmethod
    def boards(self, state: Any) -> list[tf.Tensor]:
        """Returns one board a channel, bool ``[batch, 10, 10]``."""

    def observation(self, state: Any, rng: tf.Tensor, params: MinAtarParams | None = None) -> tf.Tensor:
        """Returns the boards, bool ``[batch, 10, 10, channels]``."""
        del rng, params
        return tf.stack(self.boards(state), axis=-1)

    def reward(
        self,
        state: Any,
        action: tf.Tensor,
        next_state: Any,
        rng: tf.Tensor,
        params: MinAtarParams | None = None,
    ) -> tf.Tensor:
        """Returns what the step has brought."""
        del state, action, rng, params
        return next_state.reward

    def terminal(self, state: Any, rng: tf.Tensor, params: MinAtarParams | None = None) -> tf.Tensor:
        """Says whether the game is over."""
        del rng, params
        return state.ended

    def render_init(self, params: MinAtarParams | None = None, **kwargs: Any) -> NDArray[np.uint8]:
        """Returns the colours: black, and one a channel."""
        del params, kwargs
        count = len(self.channels)
        colours = [colorsys.hsv_to_rgb(index / count, 0.65, 1.0) for index in range(count)]
        return np.round(255 * np.array([(0.0, 0.0, 0.0), *colours])).astype(np.uint8)

    def render_image(
        self, state: Any, render_state: NDArray[np.uint8], params: MinAtarParams | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draws the first game of a batch, uint8 ``[320, 320, 3]``; later channels hide earlier ones."""
        del params
        seen = np.asarray(self.observation(state, None))[0]
        top = (seen * np.arange(1, len(self.channels) + 1)).max(axis=-1)
        return render_state, render_state[top].repeat(_PIXELS, axis=0).repeat(_PIXELS, axis=1)

    def render_close(self, render_state: NDArray[np.uint8], params: MinAtarParams | None = None) -> None:
        """Has nothing to close."""

    def _key(self, action: tf.Tensor) -> tf.Tensor:
        action = tf.cast(action, tf.int32)
        return action if len(self._actions) == 6 else tf.gather(np.array(self._actions, np.int32), action)
