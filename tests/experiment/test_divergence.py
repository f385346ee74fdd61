"""A NaN or an infinity ends a run with exit code 5, a sentence that says where, and an intact checkpoint."""

import re
from pathlib import Path

import pytest
from small_run import SETS, SmallRun

from advdl.cli.app import main
from advdl.errors import DivergedError, ExitCode
from advdl.experiment.policy import load_policy
from advdl.experiment.run_folder import RunFolder
from advdl.training.checkpoint import CheckpointStore

PLUGIN = '''
"""CartPole, with a reward that is not a number once the cart is off the centre."""

import tensorflow as tf
from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components():
    return [Component("env", "nan/Cart-v0", "nan_env.env:Cart", details={"max_episode_steps": "50"})]
'''
ENV = """
import tensorflow as tf
from advdl_envs.cartpole import CartPole


class Cart(CartPole):
    def reward(self, state, action, next_state, rng, params=None):
        return tf.where(tf.abs(next_state[:, 0]) > 0.3, float("nan"), 1.0)
"""


@pytest.fixture
def nan_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installs a plugin as pip would."""
    site = tmp_path / "site"
    (site / "nan_env").mkdir(parents=True)
    (site / "nan_env/__init__.py").write_text("")
    (site / "nan_env/plugin.py").write_text(PLUGIN)
    (site / "nan_env/env.py").write_text(ENV)
    metadata = site / "nan_env-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: nan-env\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[advdl]\nnan-env = nan_env.plugin\n")
    monkeypatch.syspath_prepend(site)


def trained(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[RunFolder, str]:
    """Types the command in this process; returns the run and the error."""
    sets = [word for setting in (*SETS, *words) for word in ("--set", setting)]
    code = main(["agent", "train", "--quiet", "--steps", "4000", "--runs-dir", str(tmp_path), *sets])
    captured = capsys.readouterr()
    assert code == ExitCode.DIVERGED == 5, captured.err
    assert captured.out == ""
    (record,) = tmp_path.glob("*/*/*/run.json")
    (error,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    return RunFolder(record.parent), error.removeprefix("error: ")


def test_a_reward_that_is_not_a_number(nan_env: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, error = trained(["env.id=nan/Cart-v0"], tmp_path, capsys)
    assert re.fullmatch(r"update \d+: the batch's 'reward' holds a NaN or an infinity", error)
    record = run.record()
    assert (record.status, record.error) == ("diverged", error)
    assert main(["runs", "resume", str(run.path), "--quiet"]) == 5  # it is the same run, and ends where it did
    assert f"error: {error}\n" in capsys.readouterr().err
    store = CheckpointStore(run.checkpoints)
    variables = store.read(store.steps()[-1], prefix="trainer/")
    assert variables
    assert all(abs(value).max() < 1e6 for value in variables.values() if value.size)


def test_a_learning_rate_that_is_far_too_large(tmp_path: Path) -> None:
    run = SmallRun(tmp_path, "optimizer.learning_rate=1e30", "agent.learning_starts=1000")
    with pytest.raises(DivergedError) as caught:
        run.begin()
    where = r"update \d+, objective 'q': (the loss is (inf|nan)|the gradient of '.*' is not finite)"
    assert re.fullmatch(where, caught.value.message)
    assert "optimizer.learning_rate" in caught.value.hint
    record = run.folder.record()
    assert record.status == "diverged"
    act, facts, step = load_policy(run.folder, run.host, "last")
    assert step == record.step
    assert act(facts.observation.sample()[None]).shape == (1,)
