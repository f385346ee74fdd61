"""Backbones of nested observations: one for all of it, or one a leaf and their features side by side."""

import contextlib
from typing import Any

import gymnasium
import keras
import numpy as np
from gymnasium import spaces

from advdl.errors import AdvdlError, UsageError
from advdl.plugin.options import Factory
from advdl.rl.flat import Flat
from advdl.rl.spaces import leaves, stored_dtype, unflatten

# The spaces that Flat makes a vector of.
_FLAT = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_IMAGE = 3  # an image's axes: height, width, channels; a stack of images has more


def build_backbone(factory: Factory, space: gymnasium.Space[Any]) -> keras.Model:
    """Builds what an agent sees through.

    A backbone that takes a ``Dict`` or ``Tuple`` space, nested as it may be, sees all of it, as ``attention`` does.
    With any other the space gets a backbone of its own for every leaf. The features are concatenated in the leaves'
    order and go through one fully connected layer as wide as the widest of them: without it, an agent whose head is
    linear could not see what depends on two leaves together. A leaf that is no image and that the backbone cannot see,
    such as a vector beside a camera, goes in as it is: flat, and one-hot where it is a choice.

    Args:
        factory: The backbone; called as ``factory(space)``.
        space: What is observed.

    Returns:
        A model from observations, nested as the space is, to features ``[batch, features]``.

    Raises:
        UsageError: The backbone can see no leaf or not every image, or a leaf is of a kind that nobody can see.
    """
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        model: keras.Model = factory(space)
        return model
    with contextlib.suppress(AdvdlError):
        whole: keras.Model = factory(space)
        return whole
    parts = list(leaves(space))
    models = [_seen(factory, space, path, leaf) for path, leaf in parts]
    if not any(isinstance(model, keras.Model) for model in models):
        factory(max((leaf for _, leaf in parts), key=_rank))  # says why not; a matrix was meant, before a choice
    inputs = [observation_input(leaf, path) for path, leaf in parts]
    features = [model(part) for model, part in zip(models, inputs, strict=True)]
    return keras.Model(unflatten(space, inputs), _fused(features), name="leaves")


def observation_input(space: gymnasium.Space[Any], name: str = "observation") -> Any:
    """Returns Keras' symbolic input for a batch of observations, a nest of them for a nested space."""
    inputs = [
        keras.Input(leaf.shape, dtype=str(np.dtype(stored_dtype(leaf))), name=layer_name(path or name))
        for path, leaf in leaves(space)
    ]
    return unflatten(space, inputs)


def _fused(features: list[Any]) -> Any:
    if len(features) == 1:
        return features[0]
    joined = keras.layers.Concatenate(name="join")(features)
    width = max(int(part.shape[-1]) for part in features)
    return keras.layers.Dense(width, activation="relu", name="fuse")(joined)


def _seen(factory: Factory, space: gymnasium.Space[Any], path: str, leaf: gymnasium.Space[Any]) -> keras.layers.Layer:
    try:
        model = factory(leaf)
    except UsageError as error:
        if not isinstance(leaf, _FLAT):
            what = f"observation {path!r} is of a {type(leaf).__name__} space, which the backbone does not see"
            raise UsageError(what, hint=_leave_out(space)) from error
        if _rank(leaf) >= _IMAGE:  # flat it would train, and hardly learn to see
            raise UsageError(f"observation {path!r}: {error.message}", hint=error.hint) from error
        return Flat(leaf, name=f"flat_{layer_name(path)}")
    model.name = f"{model.name}_{layer_name(path)}"  # layers of one model need names of their own
    return model


def _leave_out(space: gymnasium.Space[Any]) -> str:
    """Says how an env is asked for the parts of its observation that can be seen."""
    known = isinstance(space, spaces.Dict) and [
        key for key, part in sorted(space.spaces.items()) if all(isinstance(leaf, _FLAT) for _, leaf in leaves(part))
    ]
    if not known:
        return "make a Box of it with a gymnasium.ObservationWrapper, named in env.wrappers"
    kept = ", ".join(f'"{key}"' for key in known)
    wrapper = f'{{name = "gymnasium.wrappers:FilterObservation", filter_keys = [{kept}]}}'
    return f"leave it out: --set 'env.wrappers=[{wrapper}]'"


def _rank(space: gymnasium.Space[Any]) -> int:
    return len(space.shape or ())


def layer_name(path: str) -> str:
    """Makes a leaf's path a name for a layer: of letters, digits and underscores."""
    return "".join(letter if letter.isalnum() else "_" for letter in path)
