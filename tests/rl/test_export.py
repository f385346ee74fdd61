"""A policy in each format acts as the live one does; one that does not is not written."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces

from advdl.errors import RunError, UsageError
from advdl.plugin.host import PluginHost
from advdl.rl import Agent, Spaces
from advdl.rl import export as module
from advdl.rl.export import export
from advdl.rl.export_formats import SUFFIXES


def agent_for(name: str, action: Any, **options: Any) -> Agent:
    keras.utils.set_random_seed(1)
    seen = spaces.Dict({"at": spaces.Box(-1.0, 1.0, (3,), np.float64), "which": spaces.Discrete(4)})
    settings = {"name": name, "backbone": {"name": "mlp", "units": [8]}, **options}
    agent: Agent = PluginHost.from_environment().build("agent", settings, Spaces(seen, action))
    return agent


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize(
    ("name", "action"), [("dqn", spaces.Discrete(3, start=2)), ("ppo", spaces.Box(-2.0, 1.0, (2,), np.float32))]
)
def test_what_is_written_acts_as_the_live_policy(kind: str, name: str, action: Any, tmp_path: Path) -> None:
    agent = agent_for(name, action)
    target = tmp_path / f"policy{SUFFIXES[kind]}"
    export(agent, target, kind)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert target.is_dir() == (kind == "savedmodel")
    if kind == "savedmodel":
        loaded = tf.saved_model.load(str(target))
        inputs = {"observation_0": tf.zeros([1, 3]), "observation_1": tf.constant([2], tf.int64)}
        action_taken = loaded.signatures["serving_default"](**inputs)["action"]
        assert action_taken.numpy()[0] in action
    with pytest.raises(UsageError, match="is there already"):
        export(agent, target, kind)


def test_one_that_acts_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(policy: Any, file: Path) -> Any:
        file.touch()
        return lambda parts: policy(parts) + 1

    monkeypatch.setattr(module, "_WRITERS", {"savedmodel": wrong})
    with pytest.raises(RunError, match="does not act as the live policy does"):
        export(agent_for("dqn", spaces.Discrete(3)), tmp_path / "policy", "savedmodel")
    assert list(tmp_path.iterdir()) == []
