"""The convolution with its normalisation and activation: what every block is made of."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import keras

from advdl.training import BatchNorm
from advdl_vision.patches import PatchConvolution
from advdl_vision.strided import StridedConvolution

Norm = Literal["none", "layer", "group", "batch"]
Padding = Literal["same", "valid", "even"]
Activation = Literal["relu", "tanh", "gelu", "silu", "elu", "selu", "leaky_relu", "mish", "linear"]
Shape = tuple[int | None, ...]

BATCH_EPSILON = 1.001e-5  # of ResNet and DenseNet in keras.applications, whose weights fit ours


class ConfiguredLayer(keras.layers.Layer):
    """A layer that remembers its options, for ``get_config``.

    Args:
        options: The options of the subclass.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, options: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.options = options

    def get_config(self) -> dict[str, Any]:
        """Returns the options."""
        return {**super().get_config(), **self.options}


class Unit(ConfiguredLayer):
    """Convolution, normalisation, activation: in this order, or the convolution last (He et al. 2016b).

    Args:
        filters: Channels that come out.
        kernel: Rows and columns of the kernel.
        strides: Step of the kernel, both ways.
        padding: ``same`` pads as TensorFlow does, with the odd zero at the end; ``even`` pads alike on both
            sides, as the papers and torch do; ``valid`` does not.
        norm: What normalises. ``layer`` is over the channels of one position; ``group`` has 32 groups, or as
            many as divide the channels.
        activation: What comes after the normalisation.
        bias: Whether the convolution adds one; None means when nothing after it normalises.
        convolution_last: Normalise and activate first.
        epsilon: Added to the variance.
        scale: Whether batch normalisation has a scale.
        product: Whether the convolution, with steps of 1, is computed as one product: see ``PatchConvolution``.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        filters: int,
        kernel: int | tuple[int, int] = 3,
        *,
        strides: int = 1,
        padding: Padding = "same",
        norm: Norm = "none",
        activation: Activation = "relu",
        bias: bool | None = None,
        convolution_last: bool = False,
        epsilon: float = BATCH_EPSILON,
        scale: bool = True,
        product: bool = False,
        **kwargs: Any,
    ) -> None:
        options = {
            "filters": filters,
            "kernel": kernel,
            "strides": strides,
            "padding": padding,
            "norm": norm,
            "activation": activation,
            "bias": bias,
            "convolution_last": convolution_last,
            "epsilon": epsilon,
            "scale": scale,
            "product": product,
        }
        super().__init__(options, **kwargs)
        self._activation = keras.activations.get(activation)

    def build(self, input_shape: Shape) -> None:
        """Creates the variables."""
        self._pad, self._convolution = self._make_convolution()
        shape = input_shape
        if not self.options["convolution_last"]:
            shape = self._build_convolution(shape)
        self._norm = self._make_norm(int(shape[-1] or 0))
        if self._norm is not None:
            self._norm.build(shape)
        if self.options["convolution_last"]:
            self._build_convolution(shape)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Maps ``[batch, height, width, channels]`` to ``[batch, height', width', filters]``."""
        if not self.options["convolution_last"]:
            x = self._convolve(x)
        if self._norm is not None:
            x = self._norm(x, **({"training": training} if self.options["norm"] == "batch" else {}))
        x = self._activation(x)
        return self._convolve(x) if self.options["convolution_last"] else x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape after the convolution."""
        if self._pad is not None:
            input_shape = self._pad.compute_output_shape(input_shape)
        shape: Shape = self._convolution.compute_output_shape(input_shape)
        return shape

    def _make_convolution(self) -> tuple[Any, Any]:
        options = self.options
        rows, columns = kernel_size(options["kernel"])
        explicit = options["padding"] == "even" and options["strides"] > 1
        padding = "valid" if explicit or options["padding"] == "valid" else "same"
        biased = (
            options["norm"] == "none" or options["convolution_last"] if options["bias"] is None else options["bias"]
        )
        shared = {"padding": padding, "dtype": self.dtype_policy, "name": "conv"}
        if options["product"] and options["strides"] == 1:
            return None, PatchConvolution(options["filters"], (rows, columns), bias=biased, **shared)
        convolution = StridedConvolution(
            options["filters"],
            (rows, columns),
            strides=options["strides"],
            use_bias=biased,
            data_format="channels_last",
            **shared,
        )
        margin = (rows // 2, columns // 2)
        return (zero_padding(margin, "pad") if explicit and any(margin) else None), convolution

    def _build_convolution(self, shape: Shape) -> Shape:
        if self._pad is not None:
            shape = self._pad.compute_output_shape(shape)
        self._convolution.build(shape)
        result: Shape = self._convolution.compute_output_shape(shape)
        return result

    def _convolve(self, x: Any) -> Any:
        return self._convolution(x if self._pad is None else self._pad(x))

    def _make_norm(self, channels: int) -> Any:
        options = self.options
        return normalization(
            options["norm"],
            channels,
            epsilon=options["epsilon"],
            scale=options["scale"],
            dtype=self.dtype_policy,
            name="norm",
        )


def normalization(
    kind: Norm,
    channels: int,
    *,
    name: str,
    epsilon: float = BATCH_EPSILON,
    scale: bool = True,
    dtype: Any = None,
) -> Any:
    """Makes a normalisation layer, or None.

    Args:
        kind: Which. Batch normalisation in bootstrapped learning sees two distributions, that of the states
            and that of the next states, and harms unless both go through it in one batch (Bhatt et al. 2024,
            CrossQ, arXiv:1902.05605); the others have no such state.
        channels: What it normalises.
        name: The layer's name.
        epsilon: Added to the variance.
        scale: Whether batch normalisation has a scale.
        dtype: The layer's dtype policy.
    """
    match kind:
        case "batch":
            return BatchNorm(epsilon=epsilon, scale=scale, dtype=dtype, name=name)
        case "layer":
            return keras.layers.LayerNormalization(epsilon=epsilon, dtype=dtype, name=name)
        case "group":
            groups = math.gcd(32, channels)
            return keras.layers.GroupNormalization(groups, epsilon=epsilon, dtype=dtype, name=name)
        case "none":
            return None


def zero_padding(margin: int | tuple[int, int], name: str) -> Any:
    """Pads with zeros alike on both sides."""
    return keras.layers.ZeroPadding2D(margin, data_format="channels_last", name=name)


def max_pooling(size: int, strides: int, name: str, padding: str = "same") -> Any:
    """Takes the largest value of each window."""
    return keras.layers.MaxPooling2D(size, strides, padding, data_format="channels_last", name=name)


def average_pooling(size: int, strides: int, name: str, padding: str = "same") -> Any:
    """Takes the mean of each window."""
    return keras.layers.AveragePooling2D(size, strides, padding, data_format="channels_last", name=name)


def kernel_size(kernel: int | Sequence[int]) -> tuple[int, int]:
    """Returns rows and columns."""
    return (kernel, kernel) if isinstance(kernel, int) else (kernel[0], kernel[1])


def build_chain(layers: Iterable[Any], shape: Shape) -> Shape:
    """Builds layers that follow each other, and returns the shape after the last."""
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return shape


def run_chain(layers: Iterable[Any], x: Any, training: bool | None) -> Any:
    """Calls units that follow each other."""
    for layer in layers:
        x = layer(x, training=training)
    return x


def chain_shape(layers: Iterable[Any], shape: Shape) -> Shape:
    """Returns the shape after layers that follow each other."""
    for layer in layers:
        shape = layer.compute_output_shape(shape)
    return shape
