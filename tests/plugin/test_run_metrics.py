"""A run's metrics are asked for their figures, and one that fails is switched off by itself."""

from typing import Any

import numpy as np
import pytest

from advdl.errors import UsageError
from advdl.plugin import Samples
from advdl.plugin.run_metrics import RunMetrics

SAMPLES = Samples({"return": np.array([3.0, 1.0]), "length": np.array([5, 7])}, main="return")


def test_numbers_and_numbers_by_name_are_reported_under_the_metrics_name() -> None:
    metrics = {
        "worst": lambda samples: samples[samples.main].min(),
        "span": lambda _: {"low": 1, "high": np.float32(3)},
    }
    figures = RunMetrics(metrics, pytest.fail).figures(SAMPLES)
    assert figures == {"metric/worst": 1.0, "metric/span/low": 1.0, "metric/span/high": 3.0}
    assert {type(value) for value in figures.values()} == {float}


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (lambda samples: samples["speed"], "the evaluation has no column 'speed'; it has return, length"),
        (lambda samples: samples["return"], "which is no number"),
        (lambda samples: "3", "it returned '3', which is no number"),
        (lambda samples: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda samples: (_ for _ in ()).throw(SystemExit(3)), "it called sys.exit(3)"),
    ],
)
def test_one_that_fails_is_reported_once_and_the_others_go_on(result: Any, reason: str) -> None:
    warnings: list[str] = []
    metrics = RunMetrics({"bad": result, "good": lambda samples: 2.0}, warnings.append)
    for _ in range(2):
        assert metrics.figures(SAMPLES) == {"metric/good": 2.0}
    (warning,) = warnings
    assert warning.startswith("metric 'bad' is switched off for this run: ")
    assert reason in warning


def test_ctrl_c_passes_through() -> None:
    def interrupted(samples: Samples) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RunMetrics({"slow": interrupted}, pytest.fail).figures(SAMPLES)


def test_a_column_that_is_not_there_is_refused_and_others_are_not() -> None:
    assert SAMPLES.get("speed") is None
    assert "speed" not in SAMPLES
    with pytest.raises(UsageError, match="no column 'speed'; it has return, length"):
        SAMPLES["speed"]
