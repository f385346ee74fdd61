"""A strided convolution as one with steps of 1 over blocks of pixels: fast where XLA is slow at steps."""

from typing import Any

import keras

Shape = tuple[int | None, ...]


class StridedConvolution(keras.layers.Conv2D):  # type: ignore[misc]  # Keras has no types
    """``keras.layers.Conv2D`` without padding, computed over blocks where its steps divide its kernel.

    A kernel of 8 x 8 in steps of 4 is one of 2 x 2 in steps of 1 over an image whose pixels are blocks of 4 x 4: the
    same products and sums, with the same variables. XLA on a CPU needs no dilated kernels for the gradients then, and
    has 64 channels to multiply where an Atari frame has 4. Equals it up to rounding.

    Takes what ``keras.layers.Conv2D`` takes, for images ``[batch, height, width, channels]``.
    """

    def call(self, inputs: Any) -> Any:
        """Maps ``[batch, height, width, channels]`` to ``[batch, height', width', filters]``."""
        if not self._over_blocks(inputs.shape):
            return super().call(inputs)
        maps = keras.ops.conv(self._blocks(inputs), self._block_kernel(), data_format="channels_last")
        maps = maps + self.bias if self.use_bias else maps
        return maps if self.activation is None else self.activation(maps)

    def _over_blocks(self, shape: Shape) -> bool:
        """Says whether steps are longer than 1 and divide the kernel; oneDNN, torch's library, is fast as it is."""
        divide = all(side % step == 0 for side, step in zip(self.kernel_size, self.strides, strict=True))
        plain = self.padding == "valid" and set(self.dilation_rate) == {1} and self.groups == 1
        known = None not in shape[1:3]
        return max(self.strides) > 1 and divide and plain and known and keras.backend.backend() == "tensorflow"

    def _blocks(self, images: Any) -> Any:
        """Returns the blocks ``[batch, rows, columns, step * step * channels]`` that the kernel reaches."""
        _, height, width, channels = images.shape
        down, right = self.strides
        rows, columns = height // down, width // right
        # What does not fill a block lies beyond the last place of the kernel, which is a whole number of blocks long.
        whole = images[:, : rows * down, : columns * right]
        split = keras.ops.reshape(whole, (-1, rows, down, columns, right, channels))
        together = keras.ops.transpose(split, (0, 1, 3, 2, 4, 5))
        return keras.ops.reshape(together, (-1, rows, columns, down * right * channels))

    def _block_kernel(self) -> Any:
        rows, columns, channels, filters = self.kernel.shape
        down, right = self.strides
        split = keras.ops.reshape(self.kernel, (rows // down, down, columns // right, right, channels * filters))
        return keras.ops.reshape(
            keras.ops.transpose(split, (0, 2, 1, 3, 4)),
            (rows // down, columns // right, down * right * channels, filters),
        )
