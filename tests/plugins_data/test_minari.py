"""Minari's data sets as data, written by its own functions on this machine; nothing is downloaded."""

import json
import shlex
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from advdl.cli.app import main
from advdl.errors import CorruptError, UsageError
from advdl.testing import check_data, component

ID = "advdl/small-v0"


def episode(seed: int) -> EpisodeBuffer:
    """Plays CartPole at random; Minari's own collector does the same, but needs JAX."""
    env = gymnasium.make("CartPole-v1")
    env.action_space.seed(seed)
    seen, done = [env.reset(seed=seed)[0]], []
    while not done or not (done[-1][2] or done[-1][3]):
        action = env.action_space.sample()
        observation, *outcome, _ = env.step(action)
        seen.append(observation)
        done.append((action, *outcome))
    env.close()
    actions, rewards, terminations, truncations = (list(column) for column in zip(*done, strict=True))
    return EpisodeBuffer(None, seed, None, seen, actions, rewards, terminations, truncations)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Three episodes of CartPole and their data set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        told = dict.fromkeys(("algorithm_name", "author", "author_email", "code_permalink", "description"), "-")
        yield minari.create_dataset_from_buffers(  # it warns where anything is left out
            ID, [episode(seed) for seed in range(3)], env="CartPole-v1", eval_env="CartPole-v1", **told
        )


def test_the_contract(recorded: Any) -> None:
    check_data(component("data", "minari", dataset=ID))
    check_data(component("data", "minari", dataset=ID, sample="transition", transitions=20))


def test_transitions_are_those_that_were_recorded(recorded: Any) -> None:
    found = component("data", "minari", dataset=ID)().transitions()
    assert len(found["reward"]) == recorded.total_steps
    assert found["terminated"].sum() == 3, "every episode fell over"
    env: Any = gymnasium.make("CartPole-v1").unwrapped
    env.reset()
    for row in range(0, recorded.total_steps, 7):
        env.state = found["observation"][row].astype(np.float64)
        env.steps_beyond_terminated = None
        following, *_ = env.step(found["action"][row])
        np.testing.assert_allclose(following, found["next_observation"][row], atol=1e-5)
    assert len(component("data", "minari", dataset=ID, transitions=9)().transitions()["reward"]) == 9


def test_a_model_and_an_agent_learn_from_them(
    recorded: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = f"--quiet --set trainer.jit=off --runs-dir {tmp_path} --json"
    line = f"model train vae --data minari:{ID} --steps 4 --set sampler.units=[8] --set model.batch_size=16 {small}"
    assert main(shlex.split(line)) == 0
    assert "negative_elbo" in json.loads(capsys.readouterr().out)["evaluation"]
    agent = "--set agent.backbone.units=[8] --set evaluation.episodes=1 --set agent.batch_size=8"
    assert main(shlex.split(f"agent train --env CartPole --offline minari:{ID} --steps 5 {agent} {small}")) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["step"] == 5
    with np.load(Path(done["folder"]) / "transitions.npz") as kept:
        assert len(kept["reward"]) == recorded.total_steps


def test_what_cannot_be_read_is_refused(recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no data set 'advdl/other-v0' on this machine"):
        component("data", "minari", dataset="advdl/other-v0")().load()
    damaged = tmp_path / ID / "data"
    damaged.mkdir(parents=True)
    (damaged / "metadata.json").write_text("{")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with pytest.raises(CorruptError, match="cannot read the data set"):
        component("data", "minari", dataset=ID)().load()
