"""Conformance of a compiled env: what the engine, the adapters and the world models rely on."""

from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.plugin.component import Component
from advdl.plugin.options import Factory
from advdl.rl.functional import CompiledEnv
from advdl.testing.contract import ContractError

_COPIES = 8
_STEPS = 32
_SEED = (7, 11)
_SEEN = ("observation", "reward", "terminal")


def check_env(env: CompiledEnv | Factory | Component) -> None:
    """Checks a compiled env against ``CompiledEnv``'s contract, on a random rollout of a few hundred steps.

    Args:
        env: An instance, what makes one without arguments (such as the class), or the component that offers
            it.

    Raises:
        ContractError: Names the first clause that is broken and what was found.
    """
    instance = _instance(env)
    _check_spaces(instance)
    check = _Check(instance)
    check.start()
    check.shapes()
    check.params()
    rollout = check.compiles()
    check.values(rollout)
    check.deterministic(rollout)
    check.same_without_xla()
    check.elements_are_independent()


def _check_spaces(env: CompiledEnv) -> None:
    for name in ("observation_space", "action_space"):
        space = getattr(env, name, None)
        if not isinstance(space, gymnasium.Space):
            raise ContractError(type(env).__name__, f"{name} is a Gymnasium space", f"it is {space!r}", kind="env")


class _Check:
    """One env under check; every method is a clause or two."""

    def __init__(self, env: CompiledEnv) -> None:
        self._env, self._name = env, type(env).__name__
        self._actions = _random_actions(env, (_STEPS, _COPIES))
        self._step = tf.function(self._one_step, jit_compile=True)
        self._fresh = tf.function(lambda seed: env.initial(seed, None, batch_size=_COPIES), jit_compile=True)

    def start(self) -> None:
        clause = "initial(rng, params, batch_size=n) returns a nest of tensors [n, ...]"
        for batch_size in (1, _COPIES):
            state = self._attempt(clause, lambda n=batch_size: self._env.initial(_seed(0), None, batch_size=n))
            leading = [tuple(value.shape)[:1] for value in tf.nest.flatten(state)]
            self._require(bool(leading) and set(leading) == {(batch_size,)}, clause, f"batch axes are {leading}")

    def compiles(self) -> dict[str, NDArray[Any]]:
        clause = "every function can be traced and compiled with XLA"
        rollout: dict[str, NDArray[Any]] = self._attempt(clause, self._play)
        return rollout

    def shapes(self) -> None:
        state, action = self._start(), tf.constant(self._actions[0])
        clause = "transition, observation, reward and terminal work on a batch"
        following, *seen = self._attempt(clause, lambda: self._one_step(state, action, None, _seed(0)))
        before, after = (tf.nest.map_structure(lambda v: (tuple(v.shape), v.dtype), s) for s in (state, following))
        clause = "transition keeps the state's structure, shapes and dtypes"
        self._require(before == after, clause, f"{before} became {after}")
        space = self._env.observation_space
        expected = ((space.shape or (), space.dtype), ((), np.float32), ((), np.bool_))
        for name, value, (shape, dtype) in zip(_SEEN, map(np.asarray, seen), expected, strict=True):
            clause = f"{name} is {np.dtype(dtype)} of shape {['batch', *shape]}".replace("'", "")
            fits = value.shape == (_COPIES, *shape) and value.dtype == dtype
            self._require(fits, clause, f"it is {value.dtype} of shape {list(value.shape)}")

    def values(self, rollout: dict[str, NDArray[Any]]) -> None:
        self._require(np.isfinite(rollout["reward"]).all(), "rewards are finite", "one is not")
        space = self._env.observation_space
        rows = rollout["observation"].reshape(-1, *(space.shape or ()))
        outside = [row for row in rows if np.asarray(row) not in space]
        self._require(not outside, "observations are in observation_space", f"{outside[:1]} is not in {space}")

    def deterministic(self, rollout: dict[str, NDArray[Any]]) -> None:
        again = self._play()
        for name, value in rollout.items():
            same = np.array_equal(value, again[name])
            self._require(same, "the same seed and actions give the same rollout", f"{name} differs")

    def same_without_xla(self) -> None:
        state, action = self._start(), self._actions[0]
        with_xla = self._step(state, action, None, _seed(3))
        if not _close(with_xla, self._step(state, action, None, _seed(4)), 0.0):
            return  # what is random may differ: TensorFlow draws other numbers under XLA
        without = self._one_step(state, tf.constant(action), None, _seed(3))
        clause = "XLA does not change what is computed"
        self._require(_close(with_xla, without, 1e-3), clause, "a step differs by more than 0.001")

    def elements_are_independent(self) -> None:
        state, action = self._start(), self._actions[0]
        other = tf.nest.map_structure(lambda value: tf.concat([value[1:2], value[1:]], 0), state)
        changed = np.concatenate([_random_actions(self._env, (1,), seed=1), action[1:]])
        one, two = (self._step(s, a, None, _seed(3)) for s, a in ((state, action), (other, changed)))
        one, two = (tf.nest.map_structure(lambda value: value[1:], step) for step in (one, two))
        clause = "element i of the batch depends on element i alone"
        self._require(_close(one, two, 1e-6), clause, "changing element 0 changed another")

    def params(self) -> None:
        defaults = self._env.get_default_params()
        if defaults is None:
            return
        clause = "get_default_params() is a NamedTuple of numbers or tensors, each a scalar or [batch]"
        self._require(isinstance(defaults, tuple) and hasattr(defaults, "_fields"), clause, f"it is {defaults!r}")
        state, action = self._start(), tf.constant(self._actions[0])
        expected = self._one_step(state, action, None, _seed(3))
        for values in (defaults, self._one_each(defaults)):
            found = self._attempt(clause, lambda values=values: self._one_step(state, action, values, _seed(3)))
            same = _close(expected, found, 1e-4)
            self._require(same, "params=None means the defaults, also one of them an element", "it does not")
        self._refuses_unknown_param()

    def _refuses_unknown_param(self) -> None:
        clause = "get_default_params(**overrides) refuses a name that does not exist with a UsageError"
        try:
            self._env.get_default_params(no_such_param=0.0)
        except UsageError:
            return
        except Exception as error:
            raise ContractError(self._name, clause, f"it raised {type(error).__name__}: {error}", kind="env") from error
        raise ContractError(self._name, clause, "it accepted 'no_such_param'", kind="env")

    def _start(self) -> Any:
        return self._env.initial(_seed(0), None, batch_size=_COPIES)

    @staticmethod
    def _one_each(params: Any) -> Any:
        return type(params)(*(np.broadcast_to(np.asarray(v, np.float32), [_COPIES]).copy() for v in params))

    def _one_step(self, state: Any, action: tf.Tensor, params: Any, seed: tf.Tensor) -> Any:
        env = self._env
        following = env.transition(state, action, seed, params)
        return (
            following,
            env.observation(following, seed, params),
            env.reward(state, action, following, seed, params),
            env.terminal(following, seed, params),
        )

    def _play(self) -> dict[str, NDArray[Any]]:
        """A random rollout; a new episode begins where one ended."""
        state, steps = self._fresh(_seed(0)), []
        for index, action in enumerate(self._actions):
            following, *seen = self._step(state, action, None, _seed(index))
            steps.append([np.asarray(value) for value in seen])
            state = _where(seen[2], self._fresh(_seed(index)), following)
        return dict(zip(_SEEN, map(np.stack, zip(*steps, strict=True)), strict=True))

    def _attempt(self, clause: str, run: Any) -> Any:
        try:
            return run()
        except Exception as error:  # whatever a third party's env raises, the clause is what failed
            lines = str(error).strip().splitlines() or [""]
            raise ContractError(self._name, clause, f"{type(error).__name__}: {lines[0]}", kind="env") from error

    def _require(self, holds: bool | np.bool_, clause: str, detail: str) -> None:
        if not holds:
            raise ContractError(self._name, clause, detail, kind="env")


def _instance(env: CompiledEnv | Factory | Component) -> CompiledEnv:
    made: Any = env.load() if isinstance(env, Component) else env
    if not isinstance(made, CompiledEnv) and callable(made):
        try:
            made = made()
        except TypeError as error:
            name = getattr(made, "__name__", repr(made))
            raise ContractError(name, "it can be made with its default options", str(error), kind="env") from error
    if not isinstance(made, CompiledEnv):
        raise ContractError(
            repr(made), "it is an advdl.rl.functional.CompiledEnv", f"it is a {type(made).__name__}", kind="env"
        )
    return made


def _where(ended: tf.Tensor, fresh: Any, state: Any) -> Any:
    def choose(new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reshape(ended, [-1] + [1] * (old.shape.rank - 1)), new, old)

    return tf.nest.map_structure(choose, fresh, state)


def _close(one: Any, two: Any, tolerance: float) -> bool:
    pairs = zip(tf.nest.flatten(one), tf.nest.flatten(two), strict=True)
    return all(np.allclose(left, right, rtol=tolerance, atol=tolerance) for left, right in pairs)


def _random_actions(env: CompiledEnv, shape: tuple[int, ...], seed: int = 0) -> NDArray[Any]:
    space = env.action_space
    space.seed(seed)
    drawn = np.stack([space.sample() for _ in range(int(np.prod(shape)))])
    dtype = np.int32 if np.issubdtype(drawn.dtype, np.integer) else drawn.dtype
    return drawn.reshape(*shape, *(space.shape or ())).astype(dtype)


def _seed(step: int) -> tf.Tensor:
    return tf.constant((_SEED[0], _SEED[1] + step), tf.int32)
