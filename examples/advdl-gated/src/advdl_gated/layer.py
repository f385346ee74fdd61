"""A gated layer."""

from typing import Annotated, Any

import keras
from annotated_types import Gt


@keras.saving.register_keras_serializable("advdl_gated")
class Gate(keras.layers.Layer):
    """Lets a learned share of each input through: ``x * sigmoid(dense(x))`` (Dauphin et al. 2017, arXiv:1612.08083).

    The last axis is what is gated; inputs keep their shape.

    Args:
        openness: What the gates' bias starts with: large ones begin as if there were no gate.
    """

    def __init__(self, *, openness: Annotated[float, Gt(0)] = 2.0, **keras_options: Any) -> None:
        super().__init__(**keras_options)
        self.openness = openness

    def build(self, input_shape: Any) -> None:
        """Makes the weights."""
        bias = keras.initializers.Constant(self.openness)
        self.gates = keras.layers.Dense(
            input_shape[-1], activation="sigmoid", bias_initializer=bias, dtype=self.dtype_policy, name="gates"
        )
        self.gates.build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Gates."""
        return inputs * self.gates(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What rebuilds it."""
        return {**super().get_config(), "openness": self.openness}
