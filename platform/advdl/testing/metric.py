"""Conformance of metrics: figures of an evaluation's samples. NumPy only."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advdl.plugin.metric import Samples
from advdl.plugin.options import Factory
from advdl.plugin.run_metrics import named
from advdl.testing.clauses import Clauses

_NUMBERS = "metric(samples) returns a number, or numbers by name"
_SAMPLES = 20


def check_metric(factory: Factory, *, columns: Mapping[str, NDArray[Any]] | None = None, main: str = "") -> None:
    """Checks a metric: the same finite figures for the same samples, in whatever order they come.

    Args:
        factory: The class, or what ``component`` returns; called without arguments.
        columns: Samples that it must take, each ``[samples]``. When None, an agent's episodes and what a learner of
            data may measure are tried, and it must take one of them.
        main: The column that training is judged by; the first when empty.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("metric", factory)
    with clauses.clause("it can be built from its options alone"):
        metric = factory()
    clauses.require(callable(metric), _NUMBERS, f"it is a {type(metric).__name__}, which cannot be called")
    tried = [columns] if columns is not None else [_episodes(), _measured()]
    given = [each for each in tried if columns is not None or _takes(metric, each)]
    clauses.require(given, "it takes an agent's episodes, or what a learner measures", "it refuses both")
    for each in given:
        _check_on(clauses, metric, each, main or next(iter(each)))


def _episodes() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    return {"return": rng.normal(100.0, 20.0, _SAMPLES), "length": rng.integers(1, 500, _SAMPLES)}


def _measured() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    columns = ("accuracy", "loss", "log_likelihood", "reconstruction")
    return {name: rng.random(_SAMPLES).astype(np.float32) for name in columns}


def _takes(metric: Any, columns: Mapping[str, NDArray[Any]]) -> bool:
    try:
        metric(_samples({name: column.copy() for name, column in columns.items()}, next(iter(columns))))
    except Exception:
        return False
    return True


def _check_on(clauses: Clauses, metric: Any, columns: Mapping[str, NDArray[Any]], main: str) -> None:
    before = {name: column.copy() for name, column in columns.items()}
    figures = _figures(clauses, metric, columns, main)
    after = [name for name, column in columns.items() if not np.array_equal(column, before[name])]
    clauses.require(not after, "it changes nothing that it is given", f"it changes {after[:1]}")
    broken = [name for name, value in figures.items() if not np.isfinite(value)]
    clauses.require(not broken, "figures are finite", f"{broken[:1]} is not")
    again = _figures(clauses, metric, columns, main)
    clauses.require(figures == again, "the same samples give the same figures", f"{figures} became {again}")
    order = np.random.default_rng(1).permutation(len(columns[main]))
    shuffled = _figures(clauses, metric, {name: column[order] for name, column in columns.items()}, main)
    close = figures.keys() == shuffled.keys() and np.allclose([*figures.values()], [*shuffled.values()])
    clauses.require(close, "the order of the samples does not matter", f"{figures} became {shuffled}")
    one = _figures(clauses, metric, {name: column[:1] for name, column in columns.items()}, main)
    finite = one.keys() == figures.keys() and np.isfinite([*one.values()]).all()
    clauses.require(finite, "one sample is enough, for the same figures by name", f"of one it makes {one}")


def _figures(clauses: Clauses, metric: Any, columns: Mapping[str, NDArray[Any]], main: str) -> dict[str, float]:
    with clauses.clause(_NUMBERS):
        figures = named("it", metric(_samples(columns, main)))
    clauses.require(figures, _NUMBERS, "there are none")
    return figures


def _samples(columns: Mapping[str, NDArray[Any]], main: str) -> Samples:
    return Samples(columns, main=main)
