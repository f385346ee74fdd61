"""A convolution as one matrix product, for boards: fast where XLA is slow at convolutions."""

import itertools
import math
from typing import Any, Literal

import keras

Shape = tuple[int | None, ...]


class PatchConvolution(keras.layers.Layer):
    """``keras.layers.Conv2D`` with steps of 1, computed as the product of all patches and the kernel.

    Equals it up to rounding, with the same variables. On a CPU XLA has fast kernels for a convolution at the top of a
    program only; in a loop its gradients are ten times slower. A product is as fast anywhere, so that acting, env and
    updates can be one program. It keeps every patch, ``rows * columns`` times the pixels: for small images.

    Args:
        filters: Channels that come out.
        kernel: Rows and columns of the kernel.
        padding: ``same`` puts zeros around the image, ``valid`` does not.
        bias: Whether one is added.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        filters: int,
        kernel: tuple[int, int],
        *,
        padding: Literal["same", "valid"] = "valid",
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._options = {"filters": filters, "kernel": tuple(kernel), "padding": padding, "bias": bias}
        margins = [side - 1 if padding == "same" else 0 for side in kernel]
        self._pad = [(0, 0), *((margin // 2, margin - margin // 2) for margin in margins), (0, 0)]
        self._filters, self._kernel = filters, tuple(kernel)

    def build(self, input_shape: Shape) -> None:
        """Creates kernel ``[rows, columns, channels, filters]`` and bias ``[filters]``."""
        shape = (*self._kernel, input_shape[-1], self._filters)
        self.kernel = self.add_weight(shape=shape, initializer="glorot_uniform", name="kernel")
        biased = self._options["bias"]
        self.bias = self.add_weight(shape=(self._filters,), initializer="zeros", name="bias") if biased else None

    def call(self, images: Any) -> Any:
        """Maps ``[batch, height, width, channels]`` to ``[batch, height', width', filters]``."""
        _, height, width, filters = self.compute_output_shape(images.shape)
        padded = keras.ops.pad(images, self._pad) if self._options["padding"] == "same" else images
        places = itertools.product(*map(range, self._kernel))
        windows = [padded[:, row : row + height, column : column + width] for row, column in places]
        patches = keras.ops.reshape(keras.ops.concatenate(windows, axis=-1), (-1, math.prod(self.kernel.shape[:3])))
        products = keras.ops.matmul(patches, keras.ops.reshape(self.kernel, (-1, filters)))
        products = products if self.bias is None else products + self.bias
        return keras.ops.reshape(products, (-1, height, width, filters))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape after the convolution."""
        pads = map(sum, self._pad[1:3])
        sides = [
            (size or 0) + pad - side + 1 for size, pad, side in zip(input_shape[1:3], pads, self._kernel, strict=True)
        ]
        return input_shape[0], sides[0], sides[1], self._filters

    def get_config(self) -> dict[str, Any]:
        """Returns the options."""
        return {**super().get_config(), **self._options}
