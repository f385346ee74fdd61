"""Which layer a variable belongs to."""

from collections.abc import Sequence

import keras


def layer_numbers(variables: Sequence[keras.Variable]) -> list[int]:
    """Numbers the layers of variables from 0, in order; kernel and bias of one layer have one number."""
    names = [variable.path.rpartition("/")[0] for variable in variables]
    order = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [order[name] for name in names]
