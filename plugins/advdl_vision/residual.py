"""Residual blocks: ``y = f(x) + x`` (He et al. 2016, arXiv:1512.03385)."""

from typing import Annotated, Any, Literal

import keras
from annotated_types import Gt

from advdl_vision.units import (
    BATCH_EPSILON,
    Activation,
    ConfiguredLayer,
    Norm,
    Shape,
    Unit,
    build_chain,
    chain_shape,
    run_chain,
)


class _Residual(ConfiguredLayer):
    """What the blocks share: a main path, and a shortcut that is projected where shapes differ."""

    def __init__(self, options: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(options, **kwargs)
        self._activation = keras.activations.get(options["activation"])

    def build(self, input_shape: Shape) -> None:
        """Creates the variables, those of the projection first."""
        width = self._width()
        same = self.options["strides"] == 1 and input_shape[-1] == width
        projected = self.options["projection"] == "always" or not same
        self._shortcut = [self._unit(width, 1, "shortcut", self.options["strides"])] if projected else []
        self._main = self._main_units()
        build_chain(self._shortcut, input_shape)
        build_chain(self._main, input_shape)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Maps ``[batch, height, width, channels]`` to ``[batch, height', width', channels']``."""
        main = run_chain(self._main, x, training)
        return self._activation(run_chain(self._shortcut, x, training) + main)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape of the main path."""
        return chain_shape(self._main, input_shape)

    def _width(self) -> int:
        return int(self.options["filters"])

    def _main_units(self) -> list[Unit]:
        raise NotImplementedError

    def _unit(self, filters: int, kernel: int, name: str, strides: int = 1, *, active: bool = False) -> Unit:
        return Unit(
            filters,
            kernel,
            strides=strides,
            padding="even",
            norm=self.options["norm"],
            activation=self.options["activation"] if active else "linear",
            bias=self.options["bias"],
            epsilon=self.options["epsilon"],
            dtype=self.dtype_policy,
            name=name,
        )


class ResidualBlock(_Residual):
    """The basic block: two 3x3 convolutions, each normalised, and the shortcut.

    Where the number of channels or the size changes, the shortcut is a 1x1 convolution (option B of the
    paper). Images ``[batch, height, width, channels]`` become ``[batch, height', width', filters]``.

    Args:
        filters: Channels that come out.
        strides: Step of the first convolution.
        norm: What normalises after each convolution: none, layer, group or batch.
        activation: What follows the first convolution and the sum.
        projection: ``auto`` projects the shortcut where shapes differ, ``always`` everywhere.
        bias: Whether convolutions add one; nothing means when they are not normalised.
        epsilon: Added to the variance.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        *,
        filters: Annotated[int, Gt(0)] = 64,
        strides: Annotated[int, Gt(0)] = 1,
        norm: Norm = "batch",
        activation: Activation = "relu",
        projection: Literal["auto", "always"] = "auto",
        bias: bool | None = None,
        epsilon: Annotated[float, Gt(0)] = BATCH_EPSILON,
        **kwargs: Any,
    ) -> None:
        options = {
            "filters": filters,
            "strides": strides,
            "norm": norm,
            "activation": activation,
            "projection": projection,
            "bias": bias,
            "epsilon": epsilon,
        }
        super().__init__(options, **kwargs)

    def _main_units(self) -> list[Unit]:
        filters, strides = self.options["filters"], self.options["strides"]
        return [
            self._unit(filters, 3, "unit_1", strides, active=True),
            self._unit(filters, 3, "unit_2"),
        ]


class BottleneckBlock(_Residual):
    """The bottleneck: 1x1 down, 3x3, 1x1 up by ``expansion``, each normalised, and the shortcut.

    Images ``[batch, height, width, channels]`` become ``[batch, height', width', filters * expansion]``.

    Args:
        filters: Channels of the 3x3 convolution.
        expansion: How many times as many come out.
        strides: Step of the block.
        strides_at: Which convolution steps: the first (the paper, keras.applications) or the 3x3 (torchvision).
        norm: What normalises after each convolution: none, layer, group or batch.
        activation: What follows the first two convolutions and the sum.
        projection: ``auto`` projects the shortcut where shapes differ, ``always`` everywhere.
        bias: Whether convolutions add one; nothing means when they are not normalised.
        epsilon: Added to the variance.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        *,
        filters: Annotated[int, Gt(0)] = 64,
        expansion: Annotated[int, Gt(0)] = 4,
        strides: Annotated[int, Gt(0)] = 1,
        strides_at: Literal["first", "3x3"] = "first",
        norm: Norm = "batch",
        activation: Activation = "relu",
        projection: Literal["auto", "always"] = "auto",
        bias: bool | None = None,
        epsilon: Annotated[float, Gt(0)] = BATCH_EPSILON,
        **kwargs: Any,
    ) -> None:
        options = {
            "filters": filters,
            "expansion": expansion,
            "strides": strides,
            "strides_at": strides_at,
            "norm": norm,
            "activation": activation,
            "projection": projection,
            "bias": bias,
            "epsilon": epsilon,
        }
        super().__init__(options, **kwargs)

    def _width(self) -> int:
        return int(self.options["filters"] * self.options["expansion"])

    def _main_units(self) -> list[Unit]:
        filters, strides = self.options["filters"], self.options["strides"]
        first = self.options["strides_at"] == "first"
        return [
            self._unit(filters, 1, "unit_1", strides if first else 1, active=True),
            self._unit(filters, 3, "unit_2", 1 if first else strides, active=True),
            self._unit(self._width(), 1, "unit_3"),
        ]


class PreActivationBlock(ConfiguredLayer):
    """The block whose shortcut nothing touches: twice normalise, activate, convolve 3x3, then add.

    He et al. 2016b (arXiv:1603.05027); without normalisation it is the block of IMPALA (Espeholt et al.
    2018, arXiv:1802.01561). Images keep their shape.

    Args:
        norm: What normalises before each convolution: none, layer, group or batch.
        activation: What comes before each convolution.
        epsilon: Added to the variance.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        *,
        norm: Norm = "none",
        activation: Activation = "relu",
        epsilon: Annotated[float, Gt(0)] = BATCH_EPSILON,
        **kwargs: Any,
    ) -> None:
        super().__init__({"norm": norm, "activation": activation, "epsilon": epsilon}, **kwargs)

    def build(self, input_shape: Shape) -> None:
        """Creates the variables."""
        self._main = [
            Unit(
                int(input_shape[-1] or 0),
                convolution_last=True,
                dtype=self.dtype_policy,
                name=f"unit_{index}",
                **self.options,
            )
            for index in (1, 2)
        ]
        build_chain(self._main, input_shape)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Adds the main path to its input."""
        return x + run_chain(self._main, x, training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the same shape."""
        return input_shape
