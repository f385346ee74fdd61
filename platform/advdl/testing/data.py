"""Conformance of data: what splitting, batching and the learners rely on."""

from typing import Any

import gymnasium
import numpy as np

from advdl.plugin.options import Factory
from advdl.testing.clauses import Clauses
from advdl.training.dataset import Data, Dataset


def check_data(factory: Factory) -> None:
    """Checks data: they load, the same every time, and are what their spec says.

    Args:
        factory: The class with its options, as ``component`` returns it.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("data", factory)
    with clauses.clause("it is built from its options alone"):
        data = factory()
    is_data = isinstance(data, Data)
    clauses.require(is_data, "it is an advdl.training.Data", f"it is a {type(data).__name__}")
    first, second = _loaded(clauses, data), _loaded(clauses, factory())
    same = np.array_equal(first.x, second.x) and np.array_equal(first.c, second.c)  # type: ignore[arg-type]
    clauses.require(same, "load() gives the same samples every time", "the second time it gives others")
    _check_field(clauses, "x", first.x, first.spec.x, len(first))
    clauses.require(
        (first.c is None) == (first.spec.c is None), "c is there if the spec has it", f"spec.c is {first.spec.c}"
    )
    if first.spec.c is not None:
        _check_field(clauses, "c", first.c, first.spec.c, len(first))
    if isinstance(first.spec.c, gymnasium.spaces.Discrete):
        named = len(first.names) == first.spec.c.n
        clauses.require(named, "every class has a name", f"{first.spec.c.n} classes have {len(first.names)} names")


def _loaded(clauses: Clauses, data: Data) -> Dataset:
    with clauses.clause("load() reads the samples"):
        loaded = data.load()
    is_dataset = isinstance(loaded, Dataset)
    clauses.require(is_dataset, "load() returns a Dataset", f"it returns a {type(loaded).__name__}")
    clauses.require(len(loaded) > 1, "there are samples", f"there are {len(loaded)}")
    return loaded


def _check_field(clauses: Clauses, name: str, values: Any, space: gymnasium.Space[Any], count: int) -> None:
    clause = f"{name} is [count, ...] in spec.{name}'s shape and dtype"
    fits = values.shape == (count, *(space.shape or ())) and values.dtype == space.dtype
    clauses.require(fits, clause, f"it is {values.dtype} {list(values.shape)} for {space}")
    outside = next((index for index in range(min(count, 100)) if not space.contains(values[index])), None)
    clauses.require(outside is None, f"every {name} lies in spec.{name}", f"sample {outside} does not")
