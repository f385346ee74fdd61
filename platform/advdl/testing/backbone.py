"""Conformance of backbones."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import keras
import numpy as np
import tensorflow as tf

from advdl.errors import UsageError
from advdl.plugin.options import Factory
from advdl.rl.spaces import flatten, unflatten
from advdl.testing import keras_parts
from advdl.testing.clauses import Clauses


def check_backbone(factory: Factory, *, spaces: Sequence[gymnasium.Space[Any]] | None = None) -> None:
    """Checks a backbone: observations of a space in, features ``[batch, features]`` out.

    Args:
        factory: The class, or what ``component`` returns; called with an observation space.
        spaces: Spaces that it must take. When None, vectors and images of usual sizes are tried, and it must
            take one of them; it refuses the others with a ``UsageError``.

    Raises:
        ContractError: Names the clause that is broken.
    """
    clauses = Clauses("backbone", factory)
    taken = [space for space in spaces or _usual_spaces() if _takes(clauses, factory, space, spaces is not None)]
    clauses.require(taken, "it takes vectors or images", f"it refuses {', '.join(map(str, _usual_spaces()))}")
    for space in taken:
        _check_on(clauses, factory, space)


def _usual_spaces() -> list[gymnasium.Space[Any]]:
    box = gymnasium.spaces.Box
    return [
        box(-1.0, 1.0, (4,), np.float32),
        box(0, 255, (84, 84, 4), np.uint8),
        box(0.0, 1.0, (10, 10, 4), np.float32),
    ]


def _takes(clauses: Clauses, factory: Factory, space: gymnasium.Space[Any], must: bool) -> bool:
    clause = "a space that it cannot take is refused with a UsageError"
    try:
        with clauses.clause(clause):
            factory(space)
    except UsageError as error:
        if must:
            raise clauses.broken(f"it takes {space}", error.message) from error
        return False
    return True


def _check_on(clauses: Clauses, factory: Factory, space: gymnasium.Space[Any]) -> None:
    first, second = factory(space), factory(space)
    clauses.require(isinstance(first, keras.Model), "it is a keras.Model", f"it is a {type(first).__name__}")
    batch = _batch(space, 3)
    _check_output(clauses, first, space)
    second(batch)
    keras_parts.check_names(clauses, first, second)
    keras_parts.check_compiled(clauses, first, batch)
    keras_parts.check_gradients(clauses, first, batch)
    keras_parts.check_weights(clauses, first, second, batch)
    keras_parts.check_frozen(clauses, first, batch)


def _check_output(clauses: Clauses, model: keras.Model, space: gymnasium.Space[Any]) -> None:
    clause = "observations [batch, ...] become features [batch, features]"
    widths = set()
    for size in (1, 3):
        with clauses.clause(clause):
            features = model(_batch(space, size), training=False)
        shape = tuple(features.shape)
        clauses.require(len(shape) == 2 and shape[0] == size, clause, f"they become {list(shape)}")
        clauses.require(features.dtype.is_floating, "features are floats", f"they are {features.dtype.name}")
        clauses.require(np.isfinite(features).all(), "features are finite", f"on {space} they are not")
        widths.add(shape[1])
    clauses.require(len(widths) == 1, clause, f"the number of features is one of {sorted(widths)}")


def _batch(space: gymnasium.Space[Any], size: int) -> Any:
    space.seed(0)
    samples = [flatten(space, space.sample()) for _ in range(size)]
    return unflatten(space, [tf.constant(np.stack(part)) for part in zip(*samples, strict=True)])
