"""Plays our games and the package's side by side, on the same actions and the same random numbers."""

from typing import Any

import numpy as np
import tensorflow as tf
from minatar_rules import Rules

_STICKY = 0.1


class DifferenceError(AssertionError):
    """The two are not equal."""


class Recorded:
    """Stands in for the package's ``RandomState``: it hands out what our env has drawn."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def rand(self, *shape: int) -> Any:
        value = self.values.pop(0)
        assert np.shape(value) == shape
        return value

    def randint(self, low: int, high: int | None = None, size: int | None = None) -> Any:
        first, end = (0, low) if high is None else (low, high)
        value = self.values.pop(0)
        assert np.size(value) == (size or 1)
        chosen = value if np.issubdtype(np.asarray(value).dtype, np.integer) else int(value * np.float32(end - first))
        chosen = chosen if np.issubdtype(np.asarray(value).dtype, np.integer) else first + chosen
        assert np.all((first <= np.asarray(chosen)) & (np.asarray(chosen) < end))
        return np.array(chosen) if size else int(chosen)


class Pair:
    """Copies of a game in both forms.

    Args:
        rules: The game.
        copies: How many games run side by side. Of every four, one sees random actions only; one plays with skill, one
            cannot die, and one is disturbed, where the game has that.
        seed: Seeds everything.
        ramping: Whether the games become harder.
        mixed: Whether there are others than those that see random actions only.
    """

    def __init__(self, rules: Rules, copies: int, seed: int, *, ramping: bool = True, mixed: bool = True) -> None:
        from minatar import Environment

        self.rules, self.copies = rules, copies
        self.env = rules.game(sticky_action_prob=_STICKY, difficulty_ramping=ramping)
        self.theirs = [Environment(rules.package, _STICKY, ramping) for _ in range(copies)]
        self.rng, self.seed = np.random.default_rng(seed), seed
        self._kind = np.arange(copies) % 4 if mixed else np.zeros(copies, int)
        self.seen = {"steps": 0, "rewards": 0.0, "ends": 0}
        self._first = tf.function(self._initial, jit_compile=True, autograph=False)
        self._step = tf.function(self._transition, jit_compile=True, autograph=False)
        self._state = self._numpy(self._first(self._key(0, 1)))
        for copy in range(copies):
            self._begin(copy)

    def play(self, steps: int) -> None:
        """Plays ``steps`` steps in every copy.

        Raises:
            DifferenceError: Names the first difference, with step and copy.
        """
        for index in range(steps):
            self._play_one(index)

    def _play_one(self, index: int) -> None:
        actions = np.array([self._action(copy) for copy in range(self.copies)], np.int32)
        seed = self._key(index, 0)
        following, board, reward, ended, chances = self._numpy(self._step(self._state, actions, seed))
        for copy in range(self.copies):
            theirs = self._act(copy, actions[copy], chances[copy])
            self._same(index, copy, following, (board[copy], reward[copy], ended[copy]), theirs)
        self.seen["steps"] += self.copies
        self.seen["rewards"] += float(reward.sum())
        self.seen["ends"] += int(ended.sum())
        self._go_on(following, ended, self._numpy(self._first(self._key(index, 1))))

    def _act(self, copy: int, action: int, chance: np.ndarray) -> tuple[Any, float, bool]:
        env = self.theirs[copy]
        further, spare = self.rules.draws(env.env, chance[1:])
        env.random.values = [chance[0], *further]
        reward, ended = env.act(action)
        left = env.random.values
        if left and len(left) != spare:
            raise DifferenceError(f"the package has left {left} of its random numbers")
        return env.state(), float(reward), bool(ended)

    def _same(self, index: int, copy: int, state: Any, ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
        row = _row(state, copy)
        pairs = dict(zip(("board", "reward", "ended"), zip(ours, theirs, strict=True), strict=True))
        facts = self.rules.theirs(self.theirs[copy].env)
        pairs |= {name: (value, facts[name]) for name, value in self.rules.ours(row).items()}
        pairs["last_action"] = (row.last_action, self.theirs[copy].last_action)
        for name, (one, other) in pairs.items():
            if not _equal(one, other):
                raise DifferenceError(f"step {index}, copy {copy}: {name} is {one}, the package's is {other}")

    def _go_on(self, state: Any, ended: np.ndarray, fresh: Any) -> None:
        immortal = (self._kind >= 2) & self.rules.immortal
        again = ended & ~immortal

        def choose(new: np.ndarray, old: np.ndarray) -> np.ndarray:
            return np.where(again.reshape(-1, *[1] * (old.ndim - 1)), new, old)

        state = tf.nest.map_structure(choose, fresh, state)
        self._state = state._replace(ended=np.zeros_like(ended))
        for copy in np.flatnonzero(ended):
            self.theirs[copy].env.terminal = False
            if again[copy]:
                self._begin(copy)
        if self.rules.disturb is not None:
            for copy in np.flatnonzero(self._kind == 3):
                if self.rng.random() < 0.02:
                    self._disturb(copy)

    def _begin(self, copy: int) -> None:
        env = self.theirs[copy]
        env.random = env.env.random = Recorded()
        env.random.values = self.rules.begin(env.env, _row(self._state, copy))
        env.reset()
        assert not env.random.values
        env.last_action = 0

    def _disturb(self, copy: int) -> None:
        for ours, theirs, value in self.rules.disturb(self.rng):
            setattr(self.theirs[copy].env, theirs, value)
            getattr(self._state, ours)[copy] = value

    def _action(self, copy: int) -> int:
        if self._kind[copy] == 1 and self.rules.skill is not None and self.rng.random() < 0.9:
            return self.rules.skill(self.theirs[copy].env, self.rng)
        return int(self.rng.integers(6))

    def _initial(self, seed: tf.Tensor) -> Any:
        return self.env.initial(seed, batch_size=self.copies)

    def _transition(self, state: Any, action: tf.Tensor, seed: tf.Tensor) -> Any:
        following = self.env.transition(state, action, seed)
        board = self.env.observation(following, seed)
        reward = self.env.reward(state, action, following, seed)
        return following, board, reward, self.env.terminal(following, seed), self.env.draws(seed, self.copies)

    def _key(self, step: int, purpose: int) -> tf.Tensor:
        return tf.constant((self.seed, 2 * step + purpose), tf.int32)

    @staticmethod
    def _numpy(nest: Any) -> Any:
        return tf.nest.map_structure(lambda value: np.array(value), nest)


def _row(state: Any, copy: int) -> Any:
    parts = (_row(part, copy) if isinstance(part, tuple) else part[copy] for part in state)
    return type(state)(*(part.item() if isinstance(part, np.generic) else part for part in parts))


def _equal(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray):
        return bool(one == other)
    return np.array_equal(one, other)
