"""Q-networks: a backbone with a head of one value an action."""

import keras


def q_network(backbone: keras.Model, actions: int, name: str) -> keras.Model:
    """Puts a linear head on a backbone: observations to Q-values, ``[batch, ...] -> [batch, actions]``.

    Args:
        backbone: Maps observations to features ``[batch, features]``.
        actions: The number of actions.
        name: The model's name.
    """
    values = keras.layers.Dense(actions, dtype="float32", name="q")(backbone.output)
    return keras.Model(backbone.input, values, name=name)


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies every variable, trainable or not; traceable."""
    for ours, theirs in zip(source.weights, target.weights, strict=True):
        theirs.assign(ours)
