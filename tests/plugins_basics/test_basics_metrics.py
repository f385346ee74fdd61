import math

import numpy as np
import pytest

from advdl.plugin import Samples
from advdl.testing import check_metric, component

RETURNS = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
SAMPLES = Samples({"return": RETURNS, "length": np.arange(5)}, main="return")


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("quantile", {}, 3.0),
        ("quantile", {"share": 0.25}, np.quantile(RETURNS, 0.25)),
        ("quantile", {"of": "length"}, 2.0),
        ("tail_mean", {}, 1.0),
        ("tail_mean", {"share": 0.5}, 2.0),
        ("tail_mean", {"share": 0.4, "end": "highest"}, 4.5),
        ("tail_mean", {"share": 1.0}, RETURNS.mean()),
        ("share_above", {"threshold": 4.0}, 0.4),
        ("share_above", {"threshold": 9.0}, 0.0),
    ],
)
def test_the_figure_is_right_and_the_contract_kept(name: str, options: dict[str, object], expected: float) -> None:
    factory = component("metric", name, **options)
    assert math.isclose(factory()(SAMPLES), expected)
    check_metric(factory)
