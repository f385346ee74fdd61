"""What a learning rate's schedule counts: updates, or env steps; both in the engines themselves."""

from pathlib import Path

import pytest

from advdl.errors import UsageError
from advdl.experiment import build, model_work
from advdl.experiment.config import Experiment, resolve_experiment
from advdl.plugin.host import PluginHost

HOST = PluginHost.from_environment()
HALVES = {"optimizer.learning_rate": "{name='piecewise',values=[1e-3,1e-5],boundaries=[64]}"}
SMALL = {
    "agent.backbone": "{name='mlp',units=[4]}",
    "agent.horizon": 8,
    "agent.batch_size": 16,
    "agent.epochs": 2,
    "env.num": 4,
    "steps": 128,
    "trainer.jit": "off",
}


def resolved(named: dict[str, str], settings: dict[str, object], family: str = "agent") -> Experiment:
    return resolve_experiment(
        HOST,
        command_line=named,
        sets=[f"{key}={value}" for key, value in settings.items()],
        config_file=None,
        environ={},
        folder=Path("/nonexistent"),
        family=family,
    )


@pytest.mark.parametrize("engine", ["compiled", "host"])
@pytest.mark.parametrize(("counts", "expected"), [("env_steps", [1e-3, 1e-5]), ("updates", [1e-3, 1e-3])])
def test_rates_change_where_the_schedule_says(engine: str, counts: str, expected: list[float]) -> None:
    """Four updates follow each 32 env steps: 16 in all, so that 64 updates are never made, and 64 env steps are."""
    settings = {**SMALL, **HALVES, "engine": engine, "trainer.rate_counts": counts}
    training = build.build_training(resolved({"env": "CartPole-v1", "agent": "ppo"}, settings), HOST)
    training.engine.build()
    rates = []
    for until in (32, 64):
        while training.engine.env_steps < until:
            training.engine.advance(until)
        rates.append(training.engine.metrics.peek("learn/ppo/learning_rate"))
        training.engine.metrics.reset()
    assert rates == pytest.approx(expected)


def test_a_run_without_env_steps_cannot_count_them() -> None:
    experiment = resolved({}, {"learner": "classifier", "trainer.rate_counts": "env_steps"}, family="learner")
    parts = model_work.build_parts(experiment, HOST)
    with pytest.raises(UsageError, match=r"^trainer.rate_counts is 'env_steps', and this run counts its steps in upd"):
        build.build_trainer(experiment, HOST, parts.learner, 10)
