"""Dense blocks and the transitions between them (Huang et al. 2017, arXiv:1608.06993)."""

from typing import Annotated, Any

import keras
from annotated_types import Ge, Gt, Le

from advdl_vision.units import (
    BATCH_EPSILON,
    Activation,
    ConfiguredLayer,
    Norm,
    Shape,
    Unit,
    average_pooling,
    build_chain,
    run_chain,
)


class DenseBlock(ConfiguredLayer):
    """Layers each of which sees the concatenation of the block's input and of all layers before it.

    Each layer normalises, activates and convolves 3x3 to ``growth`` channels; with a bottleneck (DenseNet-B)
    a 1x1 to ``bottleneck * growth`` channels comes before. Images ``[batch, height, width, channels]`` keep
    their size and get ``channels + layers * growth`` channels.

    Args:
        layers: How many layers.
        growth: Channels that each adds.
        bottleneck: Width of the 1x1 before each 3x3, in multiples of ``growth``; 0 for none.
        norm: What normalises before each convolution: none, layer, group or batch.
        activation: What follows the normalisation.
        epsilon: Added to the variance.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        *,
        layers: Annotated[int, Gt(0)] = 4,
        growth: Annotated[int, Gt(0)] = 32,
        bottleneck: Annotated[int, Ge(0)] = 4,
        norm: Norm = "batch",
        activation: Activation = "relu",
        epsilon: Annotated[float, Gt(0)] = BATCH_EPSILON,
        **kwargs: Any,
    ) -> None:
        options = {
            "layers": layers,
            "growth": growth,
            "bottleneck": bottleneck,
            "norm": norm,
            "activation": activation,
            "epsilon": epsilon,
        }
        super().__init__(options, **kwargs)

    def build(self, input_shape: Shape) -> None:
        """Creates the variables, layer by layer."""
        growth, wide = self.options["growth"], self.options["bottleneck"] * self.options["growth"]
        self._chains = []
        channels = int(input_shape[-1] or 0)
        for index in range(1, self.options["layers"] + 1):
            narrow = [self._unit(wide, 1, f"layer_{index}_narrow")] if wide else []
            chain = [*narrow, self._unit(growth, 3, f"layer_{index}")]
            build_chain(chain, (*input_shape[:-1], channels))
            self._chains.append(chain)
            channels += growth

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Maps ``[batch, height, width, channels]`` to ``[batch, height, width, channels']``."""
        for chain in self._chains:
            x = keras.ops.concatenate([x, run_chain(chain, x, training)], axis=-1)
        return x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input's shape with the channels that were added."""
        added = self.options["layers"] * self.options["growth"]
        return (*input_shape[:-1], int(input_shape[-1] or 0) + added)

    def _unit(self, filters: int, kernel: int, name: str) -> Unit:
        return _convolution_last(self, filters, kernel, name)


class Transition(ConfiguredLayer):
    """Between dense blocks: normalise, activate, 1x1 to fewer channels, average-pool by 2.

    Images ``[batch, height, width, channels]`` become ``[batch, height / 2, width / 2, channels *
    compression]``, rounded down.

    Args:
        compression: The share of channels that is kept.
        norm: What normalises: none, layer, group or batch.
        activation: What follows the normalisation.
        epsilon: Added to the variance.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        *,
        compression: Annotated[float, Gt(0), Le(1)] = 0.5,
        norm: Norm = "batch",
        activation: Activation = "relu",
        epsilon: Annotated[float, Gt(0)] = BATCH_EPSILON,
        **kwargs: Any,
    ) -> None:
        options = {"compression": compression, "norm": norm, "activation": activation, "epsilon": epsilon}
        super().__init__(options, **kwargs)

    def build(self, input_shape: Shape) -> None:
        """Creates the variables."""
        kept = max(1, int(int(input_shape[-1] or 0) * self.options["compression"]))
        self._unit = _convolution_last(self, kept, 1, "unit")
        self._unit.build(input_shape)
        self._pool = average_pooling(2, 2, "pool", "valid")

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Maps ``[batch, height, width, channels]`` to half the size."""
        return self._pool(self._unit(x, training=training))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape after pooling."""
        shape: Shape = self._pool.compute_output_shape(self._unit.compute_output_shape(input_shape))
        return shape


def _convolution_last(owner: ConfiguredLayer, filters: int, kernel: int, name: str) -> Unit:
    options = {key: owner.options[key] for key in ("norm", "activation", "epsilon")}
    bias = options["norm"] == "none"
    return Unit(filters, kernel, bias=bias, convolution_last=True, dtype=owner.dtype_policy, name=name, **options)
