import subprocess
import sys

import gymnasium
import pytest

from advdl.errors import UsageError
from advdl.plugin import Component
from advdl.plugin.host import PluginHost
from advdl.rl.env_names import compiled_twin, env_facts, list_envs, registered_specs, resolve_env_id


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost.from_environment()


class Offering:
    """What ``env_names`` asks of a host."""

    def __init__(self, *components: Component) -> None:
        self._components = list(components)

    def components(self, kind: str) -> list[Component]:
        return [component for component in self._components if component.kind == kind]


@pytest.mark.parametrize(
    ("name", "env_id"),
    [
        ("CartPole", "CartPole-v1"),
        ("CartPole-v0", "CartPole-v0"),
        ("CartPole-v1", "CartPole-v1"),
        ("Taxi", "Taxi-v4"),
        ("advdl/Pendulum", "advdl/Pendulum-v1"),
        ("advdl/Pendulum-v1", "advdl/Pendulum-v1"),
        ("advdl_envs:advdl/Pendulum", "advdl_envs:advdl/Pendulum-v1"),
    ],
)
def test_a_name_becomes_an_id(name: str, env_id: str, host: PluginHost) -> None:
    assert resolve_env_id(name, host) == env_id


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("Cartpoel", "there is no env 'Cartpoel'", "'CartPole'"),
        ("CartPole-v7", "there is no env 'CartPole-v7'", "'CartPole-v"),
        ("advdl/CartPol-v1", "there is no env 'advdl/CartPol-v1'", "'advdl/CartPole-v1'"),
        ("Pong-v5", "there is no env 'Pong-v5'", "did you mean 'ALE/Pong-v5'"),
        ("Empty-5x5", "there is no env 'Empty-5x5'", "did you mean 'MiniGrid-Empty-5x5'"),
        ("", "there is no env ''", "advdl env list"),
        ("zzzzzz", "there is no env 'zzzzzz'", "see them all: advdl env list"),
        ("Reacher-v2", "no longer has env 'Reacher-v2'", "'Reacher-v"),
        ("GymV21Environment-v0", "no longer has env", "advdl env list"),
        ("no_such_package:Foo-v0", "'no_such_package'", "installed"),
        (".relative:Foo-v0", "cannot be imported", "installed"),
    ],
)
def test_an_unknown_name_says_what_is_near(name: str, says: str, hint: str, host: PluginHost) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_env_id(name, host)
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "module", "line"),
    [
        ("LunarLander", "Box2D", "pip install 'gymnasium[box2d]'"),
        ("HalfCheetah", "mujoco", "pip install 'gymnasium[mujoco]'"),
        ("phys2d/CartPole", "jax", "pip install 'gymnasium[jax]'"),
        ("ALE/Pong-v5", "ale_py", "pip install 'advdl[atari]'"),
        ("MiniGrid-Empty-5x5-v0", "minigrid", "pip install 'advdl[minigrid]'"),
        ("BabyAI-GoToLocal", "minigrid", "pip install 'advdl[minigrid]'"),
    ],
)
def test_a_missing_package_comes_with_its_pip_line(
    name: str, module: str, line: str, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda wanted: None)  # also where the package is installed
    with pytest.raises(UsageError) as caught:
        resolve_env_id(name, host)
    assert module in caught.value.message
    assert caught.value.hint == line


def test_a_broken_package_does_not_hide_that_a_name_is_unknown(
    host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(module: str) -> None:
        raise RuntimeError(module)

    monkeypatch.setattr("advdl.rl.env_names._import_quietly", broken)
    with pytest.raises(UsageError, match="there is no env 'Cartpoel'"):
        resolve_env_id("Cartpoel", host)


def test_a_broken_package_is_named_and_the_other_envs_are_listed(
    host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(module: str) -> None:
        raise RuntimeError(f"no {module} today")

    monkeypatch.setattr("advdl.rl.env_names._import_quietly", broken)
    with pytest.warns(UserWarning, match="RuntimeError: no") as caught:
        listed = list_envs(host)
    assert ["ale_py" in str(warning.message) for warning in caught] == [True, False]
    assert "CartPole-v1" in {env.id for env in listed}
    with pytest.raises(UsageError, match="'ale_py' of env 'ALE/Pong-v5' cannot be imported: RuntimeError") as refused:
        resolve_env_id("ALE/Pong-v5", host)
    assert refused.value.hint == "install it anew: pip install --force-reinstall 'advdl[atari]'"


def test_a_twin_is_found_from_both_sides_and_only_for_its_version(host: PluginHost) -> None:
    for env_id in ("CartPole-v1", "advdl/CartPole-v1", "advdl_envs:advdl/CartPole-v1"):
        twin = compiled_twin(env_id, host)
        assert twin is not None
        assert twin.name == "advdl/CartPole-v1"
    assert compiled_twin("CartPole-v0", host) is None
    assert compiled_twin("Taxi-v4", host) is None


def test_facts_of_a_compiled_env_are_its_twins(host: PluginHost) -> None:
    ours, theirs = (env_facts(env_id, host) for env_id in ("advdl/Acrobot-v1", "Acrobot-v1"))
    assert (ours.id, ours.host_id) == ("advdl/Acrobot-v1", "Acrobot-v1")
    assert (theirs.id, theirs.host_id) == ("Acrobot-v1", "Acrobot-v1")
    assert ours.observation == theirs.observation
    assert ours.action == theirs.action == gymnasium.spaces.Discrete(3)
    assert (ours.max_episode_steps, ours.reward_threshold) == (500, -100.0)
    assert ours.compiled
    assert theirs.compiled


def test_facts_of_a_host_env(host: PluginHost) -> None:
    facts = env_facts("Taxi-v4", host)
    assert not facts.compiled
    assert facts.observation == gymnasium.spaces.Discrete(500)
    assert (facts.max_episode_steps, facts.reward_threshold) == (200, 8)


def test_an_env_that_cannot_be_made_is_one_sentence(host: PluginHost) -> None:
    gymnasium.register("AdvdlBroken-v0", entry_point="no_such_module:Env")
    try:
        with pytest.raises(UsageError, match=r"env 'AdvdlBroken-v0' cannot be made: No module named 'no_such_module'"):
            env_facts("AdvdlBroken-v0", host)
    finally:
        del gymnasium.registry["AdvdlBroken-v0"]


def test_a_strangers_compiled_env_becomes_an_ordinary_one() -> None:
    details = {"max_episode_steps": "7", "reward_threshold": "3.5"}
    component = Component("env", "stranger/Pole-v3", "advdl_envs.cartpole:CartPole", details=details)
    host = Offering(component)
    try:
        assert resolve_env_id("stranger/Pole", host) == "stranger/Pole-v3"
        facts = env_facts("stranger/Pole-v3", host)
        assert (facts.max_episode_steps, facts.reward_threshold, facts.compiled) == (7, 3.5, True)
        assert facts.host_id == "stranger/Pole-v3"
        assert facts.action == gymnasium.spaces.Discrete(2)
    finally:
        del gymnasium.registry["stranger/Pole-v3"]


def test_listing_names_twins_and_what_to_install(host: PluginHost) -> None:
    listed = {env.id: env for env in list_envs(host)}
    assert listed["CartPole-v1"].observation == "Box(4)"
    assert listed["advdl/CartPole-v1"].compiled
    assert not listed["CartPole-v0"].compiled
    assert listed["Taxi-v4"].observation is None
    assert "Reacher-v2" not in listed
    assert list(listed) == sorted(listed)
    assert set(listed) <= set(registered_specs(host))


def test_names_need_no_tensorflow() -> None:
    code = (
        "import sys; from advdl.plugin.host import PluginHost; from advdl.rl.env_names import *\n"
        "assert 'gymnasium' not in sys.modules\n"
        "host = PluginHost.from_environment(); list_envs(host); resolve_env_id('CartPole', host)\n"
        "env_facts('advdl/CartPole-v1', host); assert 'tensorflow' not in sys.modules"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
