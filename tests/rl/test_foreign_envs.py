"""Envs and wrappers of other packages, named as they are."""

import re
import tomllib

import numpy as np
import pytest

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.rl.backbones import build_backbone
from advdl.rl.env_factory import EnvFactory
from advdl.rl.env_names import resolve_env_id


def test_a_minigrid_is_found_by_name_and_seen_through_its_own_wrapper() -> None:
    env_id = resolve_env_id("MiniGrid-Empty-5x5", PluginHost.from_environment())
    assert env_id == "MiniGrid-Empty-5x5-v0"
    wrappers = ["minigrid.wrappers:ImgObsWrapper", {"name": "RecordEpisodeStatistics", "buffer_length": 2}]
    with EnvFactory.of(env_id, {}, wrappers).checked() as env:
        seen, _ = env.reset(seed=0)
        assert seen.shape == env.observation_space.shape == (7, 7, 3)
        assert seen.dtype == np.uint8
        env.step(env.action_space.sample())


@pytest.mark.parametrize(
    ("wrapper", "says"),
    [
        ("no_such_package:Wrapper", "'no_such_package:Wrapper' cannot be found"),
        ("gymnasium.wrappers:NoSuchWrapper", "'gymnasium.wrappers:NoSuchWrapper' cannot be found"),
        ({"name": "gymnasium.wrappers:ClipReward", "lowest": 0}, "unexpected keyword argument 'lowest'"),
    ],
)
def test_a_wrapper_that_is_not_there_is_refused(wrapper: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        EnvFactory.of("CartPole-v1", {}, [wrapper])


def test_a_part_that_no_backbone_sees_is_named_with_the_setting_that_leaves_it_out() -> None:
    host = PluginHost.from_environment()
    env_id = resolve_env_id("MiniGrid-Empty-5x5", host)
    backbone = host.factory("backbone", "mlp")
    with EnvFactory.of(env_id, {}, []).checked() as env, pytest.raises(UsageError, match="'mission' is of") as refusal:
        build_backbone(backbone, env.observation_space)
    assert refusal.value.hint is not None
    setting = re.search(r"--set 'env\.wrappers=(.*)'", refusal.value.hint)
    assert setting is not None
    wrappers = tomllib.loads(f"wrappers = {setting[1]}")["wrappers"]
    with EnvFactory.of(env_id, {}, wrappers).checked() as env:
        assert build_backbone(backbone, env.observation_space).output_shape[-1] > 0
