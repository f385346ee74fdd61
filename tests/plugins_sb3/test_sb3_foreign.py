"""Zips of stable-baselines3: refused with the reason, or taken in whole."""

import os
import pickle
import zipfile

import numpy as np
import pytest
from sb3_cases import agent_class, assignment

from advdl.cli.app import main
from advdl.errors import CorruptError, ExitCode, UsageError


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Two agents that stable-baselines3 itself trained and saved."""
    import torch
    from stable_baselines3 import PPO, SAC
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.utils import LinearSchedule

    folder = tmp_path_factory.mktemp("zips")
    settings = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "device": "cpu", "gamma": 0.9}
    policy = {"net_arch": {"pi": [8], "vf": [8]}, "activation_fn": torch.nn.ReLU}
    ppo = PPO(
        "MlpPolicy", make_vec_env("CartPole-v1", 2), LinearSchedule(1e-3, 0.0, 1.0), policy_kwargs=policy, **settings
    )
    ppo.learn(64)
    ppo.save(folder / "ppo.zip")
    sac = SAC(
        "MlpPolicy", "Pendulum-v1", learning_starts=10, batch_size=8, policy_kwargs={"net_arch": [8]}, device="cpu"
    )
    sac.learn(30)
    sac.save(folder / "sac.zip")
    return folder, {"ppo": ppo, "sac": sac}


@pytest.mark.parametrize(("name", "env_id"), [("ppo", "CartPole-v1"), ("sac", "Pendulum-v1")])
def test_an_agent_out_of_a_zip_acts_as_the_one_that_was_saved(saved, name, env_id):
    folder, models = saved
    foreign = agent_class(name).open_foreign(folder / f"{name}.zip")
    agent = agent_class(name)(assignment(env_id, 100, copies=foreign.num_envs), **foreign.options)
    foreign.adopt(agent)
    assert agent.env_steps == models[name].num_timesteps
    observations = np.random.default_rng(0).normal(0, 1, (40, *agent.assignment.spaces.observation.shape))
    expected, _ = models[name].predict(observations.astype(np.float32), deterministic=True)
    np.testing.assert_array_equal(agent.act(observations.astype(np.float32)), expected)
    assert "replay" in foreign.lost[0]


def test_the_options_are_read_off_the_zip(saved):
    options = agent_class("ppo").open_foreign(saved[0] / "ppo.zip").options
    wanted = {"n_steps": 16, "gamma": 0.9, "units": [8], "activation": "relu", "learning_rate": 1e-3}
    assert wanted.items() <= options.items()
    assert (options["learning_rate_decay"], options["clip_range_decay"]) == ("linear", "constant")


def test_what_does_not_fit_the_env_is_refused(saved):
    foreign = agent_class("ppo").open_foreign(saved[0] / "ppo.zip")
    agent = agent_class("ppo")(assignment("Acrobot-v1", 100, copies=2), **foreign.options)
    with pytest.raises(UsageError, match="does not fit an agent for this env"):
        foreign.adopt(agent)


def test_another_algorithms_zip_is_refused(saved, tmp_path):
    (tmp_path / "none.zip").write_bytes(b"PK")
    for path in (saved[0] / "sac.zip", tmp_path / "none.zip"):
        with pytest.raises(CorruptError, match="cannot be loaded as PPO"):
            agent_class("ppo").open_foreign(path)


class Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


def test_nothing_is_unpickled_without_the_users_word(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("bomb.zip", "w") as archive:
        archive.writestr("data", pickle.dumps(Bomb()))
    code = main(["agent", "import", "bomb.zip", "--agent", "sb3-ppo", "--env", "CartPole"])
    shown = capsys.readouterr().err
    assert code == ExitCode.CORRUPT
    assert (
        "bomb.zip is refused: it holds pickled objects, and loading them runs whatever code their maker put in" in shown
    )
    assert "hint: only if you trust whoever made it: --trust-pickle" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["bomb.zip"]


def test_an_agent_of_ours_has_no_foreign_files(tmp_path, capsys):
    code = main(["agent", "import", str(tmp_path / "x.zip"), "--agent", "dqn", "--env", "CartPole", "--trust-pickle"])
    assert code == ExitCode.USAGE
    assert "agent 'dqn' has no foreign files" in capsys.readouterr().err
