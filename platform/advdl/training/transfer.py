"""Finds a backbone's weights in a checkpoint by the order, names and shapes of its variables. Needs no TensorFlow."""

import re
from collections.abc import Iterable, Mapping, Sequence

from advdl.training.tensors import Array

Signature = Sequence[tuple[str, tuple[int, ...]]]
"""The names and shapes of a backbone's variables, in Keras' own order, which is the same on every backend."""

_VARIABLE = re.compile(r"(?:trainer/)?learner/(?P<model>.+)/(?P<index>\d{3,})\.(?P<name>[^/]+)")


def signature(variables: Iterable[object]) -> list[tuple[str, tuple[int, ...]]]:
    """Returns what is needed to find Keras variables again."""
    return [(variable.name, tuple(variable.shape)) for variable in variables]  # type: ignore[attr-defined]


def positions(found: Signature, wanted: Signature) -> list[int]:
    """Returns where a backbone's variables begin among a model's: a model may have several alike, or none."""
    width, place, places = len(wanted), 0, []
    while width and place + width <= len(found):
        alike = list(found[place : place + width]) == list(wanted)
        places += [place] if alike else []
        place += width if alike else 1
    return places


def backbone_arrays(arrays: Mapping[str, Array], wanted: Signature) -> list[Array] | None:
    """Returns the weights of the first backbone with this signature, or None.

    The first model in the order of their names comes first: an actor before a critic, an online network before its
    target.

    Args:
        arrays: A checkpoint's arrays by name, of a native agent or of one with its own learning loop.
        wanted: What is looked for.
    """
    models: dict[str, dict[int, tuple[str, Array]]] = {}
    for name, array in arrays.items():
        match = _VARIABLE.fullmatch(name)
        if match:
            models.setdefault(match["model"], {})[int(match["index"])] = (match["name"], array)
    for model in sorted(models):
        variables = [models[model][index] for index in sorted(models[model])]
        places = positions([(name, tuple(array.shape)) for name, array in variables], wanted)
        if places:
            return [array for _, array in variables[places[0] : places[0] + len(wanted)]]
    return None
