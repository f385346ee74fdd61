"""Every clause of a metric's contract is broken once, and named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from advdl.errors import UsageError
from advdl.plugin import Samples
from advdl.testing import ContractError, check_metric, component


def metric(function: Callable[[Samples], Any]) -> Callable[[], Any]:
    return lambda: function


class Counting:
    """Another figure every time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, samples: Samples) -> float:
        self.calls += 1
        return float(self.calls)


def overwrites(samples: Samples) -> float:
    samples["return"][:] = 0.0
    return 1.0


def refuses(samples: Samples) -> float:
    return float(samples["no such column"].mean())


def mean(samples: Samples) -> float:
    return float(samples[samples.main].mean())


@pytest.mark.parametrize(
    ("factory", "clause"),
    [
        (lambda: 1 / 0, "it can be built from its options alone"),
        (lambda: "no metric", "metric(samples) returns a number, or numbers by name"),
        (metric(lambda samples: samples["return"]), "metric(samples) returns a number, or numbers by name"),
        (metric(lambda samples: "many"), "metric(samples) returns a number, or numbers by name"),
        (metric(lambda samples: {}), "metric(samples) returns a number, or numbers by name"),
        (metric(refuses), "it takes an agent's episodes, or what a learner measures"),
        (metric(overwrites), "it changes nothing that it is given"),
        (metric(lambda samples: float("nan")), "figures are finite"),
        (Counting, "the same samples give the same figures"),
        (metric(lambda samples: samples["return"][0]), "the order of the samples does not matter"),
        (metric(lambda samples: samples["return"].var(ddof=1)), "one sample is enough, for the same figures by name"),
        (
            metric(lambda samples: {f"{n}": 1.0 for n in range(len(samples["return"]))}),
            "one sample is enough, for the same figures by name",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_metric_that_breaks_a_clause(factory: Callable[..., Any], clause: str) -> None:
    with pytest.raises(ContractError) as caught:
        check_metric(factory)
    assert caught.value.clause == clause, caught.value.message
    assert caught.value.page == "docs/plugins.md#metric"


def test_good_metrics_pass() -> None:
    check_metric(metric(mean))
    check_metric(metric(lambda samples: {"low": samples["loss"].min(), "high": samples["loss"].max()}))
    check_metric(component("metric", "quantile"))


def test_columns_that_it_must_take() -> None:
    check_metric(metric(lambda samples: samples["speed"].max()), columns={"speed": np.arange(5.0)})
    with pytest.raises(UsageError, match="the evaluation has no column 'no such column'; it has return, length"):
        check_metric(metric(refuses), columns={"return": np.arange(5.0), "length": np.arange(5)})
