"""Compiled envs by themselves: contract, first states, params."""

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.plugin import Component
from advdl.testing.env import check_env
from advdl_envs.plugin import COMPONENTS

TWINS = [component for component in COMPONENTS if "twin" in component.details]
every_env = pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
every_twin = pytest.mark.parametrize("component", TWINS, ids=lambda component: component.name)


@every_env
def test_conforms(component: Component) -> None:
    check_env(component)


@every_env
def test_details_state_the_spaces(component: Component) -> None:
    env = component.load()()
    for name, space in (("observation", env.observation_space), ("action", env.action_space)):
        sizes = [space.n] if isinstance(space, gymnasium.spaces.Discrete) else space.shape
        assert component.details[name] == f"{type(space).__name__}({', '.join(map(str, sizes))})"


@every_twin
def test_first_states_are_distributed_as_gymnasiums(component: Component) -> None:
    """Kolmogorov-Smirnov of 4,000 against 4,000 draws in each component: p = 0.001 is at 1.95 sqrt(2 / n)."""
    count = 4000
    env, twin = component.load()(), gymnasium.make(component.details["twin"]).unwrapped
    ours = np.asarray(env.initial(tf.constant((1, 2)), batch_size=count), np.float64)
    theirs = np.stack([np.array(twin.state) for _ in range(count) if twin.reset(seed=None if _ else 0)])
    for column in range(ours.shape[1]):
        a, b = np.sort(ours[:, column]), np.sort(theirs[:, column])
        both = np.concatenate([a, b])
        gap = np.abs(np.searchsorted(a, both, "right") - np.searchsorted(b, both, "right")).max() / count
        assert gap < 1.95 * np.sqrt(2 / count)
        assert np.abs(a).max() <= np.abs(b).max() * 1.01


@every_twin
def test_first_states_are_the_same_with_and_without_xla(component: Component) -> None:
    env = component.load()()

    def draw(seed: tf.Tensor) -> tf.Tensor:
        return env.initial(seed, batch_size=64)

    seed = tf.constant((5, 6))
    with_xla = tf.function(draw, jit_compile=True)(seed)
    np.testing.assert_allclose(with_xla, tf.function(draw)(seed), rtol=1e-6, atol=1e-7)
    assert not np.allclose(with_xla, draw(tf.constant((5, 7))))


@every_env
def test_a_misspelt_param_names_the_nearest(component: Component) -> None:
    env = component.load()()
    params = env.get_default_params()
    if params is None:
        with pytest.raises(UsageError, match="has no params, and so no 'speed'"):
            env.get_default_params(speed=1.0)
        return
    known = params._fields[0]
    with pytest.raises(UsageError) as caught:
        env.get_default_params(**{known + "x": 1.0})
    assert repr(known) in caught.value.hint
    assert f"advdl env info {component.name}" in caught.value.hint
