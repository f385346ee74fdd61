"""A meta-trained policy adapts to an env that is named with its params; what does not fit is refused in a sentence."""

import pytest

from advdl.errors import UsageError
from advdl.experiment.adaptation import adapt_run, split_env
from advdl.experiment.config import resolve_experiment
from advdl.experiment.console import Silent
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import begin
from advdl.plugin.host import PluginHost

SETS = (
    "learner.backbone.units=[6]",
    "tasks.episodes=2",
    "tasks.horizon=5",
    "meta.batch=2",
    "meta.epochs=1",
    "evaluation.tasks=2",
    "evaluation.steps=[0,1]",
    "trainer.jit=off",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    root, host = tmp_path_factory.mktemp("physics"), PluginHost.from_environment()
    options = {"tasks": "physics", "adapter": "maml", "steps": 2}
    experiment = resolve_experiment(
        host, command_line=options, sets=SETS, config_file=None, environ={}, folder=root, family="meta"
    )
    folder = RunFolder.create(root, "physics", "maml", experiment, ["advdl", "meta", "train"])
    outcome = begin(experiment, lambda: folder, host, Silent())
    assert outcome.step == 2
    assert 1.0 <= outcome.verdict.figures["return/after_0"] <= 5.0
    assert outcome.verdict.score == outcome.verdict.figures["return/after_1"]
    return folder


def adapted(run: RunFolder, env: str) -> dict[str, object]:
    host = PluginHost.from_environment()
    return adapt_run(run, host, env, episodes=3, steps=1, judged=4, seed=0)


def test_it_plays_before_and_after(run: RunFolder) -> None:
    found = adapted(run, "CartPole-v1?gravity=20&length=0.7")
    assert found["params"] == {"gravity": 20.0, "length": 0.7}
    assert found["episodes"] == 3
    assert found == adapted(run, "CartPole-v1?gravity=20&length=0.7")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("CartPole-v1?gravity=50", "gravity=50 is outside of the family that was trained on: 5 to 20"),
        ("CartPole-v1?gravty=10", "there is no param of CartPole 'gravty'"),
        ("CartPole-v1?gravity=much", "param 'gravity' of env 'CartPole-v1' cannot be 'much'"),
        ("Pendulum-v1", "env 'Pendulum-v1' does not fit: it has"),
    ],
)
def test_what_does_not_fit_is_refused(run: RunFolder, env: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        adapted(run, env)


def test_an_env_without_params_is_its_default() -> None:
    assert split_env("CartPole-v1") == ("CartPole-v1", {})
