"""``[metrics]`` asks for further figures of the evaluations: they are in the verdict, its line and its figures."""

import json

import numpy as np
import pytest

from advdl.cli.app import main
from advdl.experiment.agent_work import verdict
from advdl.experiment.metered import metered
from advdl.plugin.run_metrics import RunMetrics
from advdl.rl.evaluation import Evaluation

EPISODES = Evaluation(np.array([1.0, 2.0, 9.0]), np.array([10, 20, 30]))


def test_an_agents_episodes_are_the_samples() -> None:
    metrics = RunMetrics(
        {"most": lambda samples: samples["return"].max(), "last": lambda s: s["length"][-1]}, pytest.fail
    )
    plain = verdict(EPISODES)
    found = metered(plain, metrics)
    assert found.figures == {**plain.figures, "metric/most": 9.0, "metric/last": 30.0}
    assert found.text == f"{plain.text}; most 9, last 30"
    assert found.score == plain.score


def test_without_metrics_nothing_changes() -> None:
    plain = verdict(EPISODES)
    assert metered(plain, RunMetrics({}, pytest.fail)) is plain


def settings(capsys: pytest.CaptureFixture[str], *sets: str) -> tuple[int, str, str]:
    words = [word for text in sets for word in ("--set", text)]
    code = main(["agent", "train", "--env", "CartPole", "--dry-run", "--json", *words])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_metric_is_set_as_a_tracker_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = settings(
        capsys, "metrics.quantile=true", "metrics.share_above.threshold=475", "metrics.tail_mean=false"
    )
    assert code == 0
    assert json.loads(out)["experiment"]["metrics"] == {
        "quantile": {"share": 0.5, "of": None},
        "share_above": {"threshold": 475.0, "of": None},
        "tail_mean": False,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics.quantil=true", "there is no metric 'quantil'"),
        ("metrics.quantile.share=2", "metrics.quantile.share cannot be 2: it must be a number >= 0 and <= 1"),
        ("metrics.share_above=true", "metrics.share_above needs a value for 'threshold'"),
        ("metrics.quantile=3", "metrics.quantile cannot be 3: it must be true, false or a table of options"),
        ("metrics=true", "metrics cannot be true: it must be a table of settings"),
    ],
)
def test_wrong_metrics_are_one_sentence(capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    code, _, err = settings(capsys, text)
    assert code == 2
    assert err.startswith(f"error: {message}")
