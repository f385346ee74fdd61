"""Observations to tokens, and tokens to features."""

from typing import Any, Literal

import gymnasium
import keras
import numpy as np

from advdl.errors import UsageError
from advdl.rl.images import box_shape, cannot_see
from advdl_attention.attention import Shape
from advdl_attention.positions import LearnedPositions, SinusoidalPositions
from advdl_attention.transformer import TransformerBlock

Positions = Literal["learned", "sinusoidal", "none"]
Readout = Literal["class", "average", "max", "last"]


def observation(space: gymnasium.Space[Any]) -> tuple[Any, Any]:
    """Starts a functional model: its input, and the same as floats, with uint8 divided by 255."""
    inputs = keras.Input(space.shape, dtype=str(np.dtype(space.dtype)), name="observation")
    return inputs, floats(inputs, space)


def floats(x: Any, space: gymnasium.Space[Any], suffix: str = "") -> Any:
    """Turns observations of a ``Box`` into floats, with uint8 divided by 255."""
    return Floats(scale=1 / 255 if space.dtype == np.uint8 else 1.0, name=f"floats{suffix}")(x)


def patches(x: Any, width: int, size: int, suffix: str = "") -> Any:
    """Turns an image into tokens ``[batch, patches, width]``, one a patch of ``size`` x ``size`` pixels.

    An image whose sides are no multiples of ``size`` is padded with zeros. The layers' names end in ``suffix``.
    """
    options: dict[str, Any] = {"strides": size, "padding": "same", "data_format": "channels_last"}
    x = keras.layers.Conv2D(width, size, name=f"patches{suffix}", **options)(x)
    return keras.layers.Reshape((-1, width), name=f"tokens{suffix}")(x)


def with_positions(x: Any, positions: Positions) -> Any:
    """Tells tokens where they are."""
    match positions:
        case "learned":
            return LearnedPositions(name="positions")(x)
        case "sinusoidal":
            return SinusoidalPositions(name="positions")(x)
        case "none":
            return x


def encode(x: Any, *, depth: int, readout: Readout, layer: Any = None, **options: Any) -> Any:
    """Runs transformer blocks and a last layer normalisation, and reads features ``[batch, width]`` out.

    Args:
        x: Tokens ``[batch, tokens, width]``.
        depth: How many blocks.
        readout: How tokens become features.
        layer: Builds a layer that the tokens go through after each block.
        **options: The blocks'.
    """
    for index in range(1, depth + 1):
        x = TransformerBlock(name=f"block_{index}", **options)(x)
        x = x if layer is None else layer(name=f"layer_{index}")(x)
    x = keras.layers.LayerNormalization(epsilon=1e-6, name="last_norm")(x)
    return Read(readout=readout, name="readout")(x)


def require_image(space: gymnasium.Space[Any], backbone: str, *, smallest: int) -> None:
    """Refuses what is no image ``[height, width, channels]``.

    Raises:
        UsageError: The space is no image, has its channels first, or is too small.
    """
    needs = f"it needs an image [height, width, channels] of {smallest} x {smallest} pixels or more"
    shape = box_shape(space, backbone, needs)
    refusal = cannot_see(backbone, shape)
    if len(shape) == 2 or (len(shape) == 3 and min(shape[:2]) < smallest):
        raise UsageError(refusal + needs, hint="the backbone 'attention' takes it")
    if len(shape) != 3:
        raise UsageError(refusal + needs, hint="the backbone 'mlp' takes it as a vector")


class Floats(keras.layers.Layer):
    """Turns observations of any dtype into floats of the layer's compute dtype.

    Args:
        scale: What they are multiplied by.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, *, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._scale = scale

    def call(self, x: Any) -> Any:
        """Converts a batch."""
        whole = keras.ops.cast(x, self.compute_dtype)
        return whole * self._scale if self._scale != 1.0 else whole

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the same shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the options."""
        return {**super().get_config(), "scale": self._scale}


class ClassToken(keras.layers.Layer):
    """Puts a learned token before the others, to be read out: ``[batch, tokens, width]`` get one token more."""

    def build(self, input_shape: Shape) -> None:
        """Creates the token."""
        start = keras.initializers.TruncatedNormal(stddev=0.02)
        self._token = self.add_weight(shape=(1, 1, input_shape[-1]), initializer=start, name="token")

    def call(self, x: Any) -> Any:
        """Prepends it."""
        token = keras.ops.cast(self._token, x.dtype)
        repeated = keras.ops.broadcast_to(token, (keras.ops.shape(x)[0], 1, x.shape[-1]))
        return keras.ops.concatenate([repeated, x], axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape with one token more."""
        tokens = input_shape[1]
        return (input_shape[0], None if tokens is None else tokens + 1, input_shape[2])


class Read(keras.layers.Layer):
    """Turns tokens ``[batch, tokens, width]`` into features ``[batch, width]``.

    Args:
        readout: The first token (``class``), the ``last``, or the ``average`` or ``max`` over tokens.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, *, readout: Readout = "average", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._readout = readout

    def call(self, x: Any) -> Any:
        """Reads out."""
        match self._readout:
            case "class":
                return x[:, 0]
            case "last":
                return x[:, -1]
            case "max":
                return keras.ops.max(x, axis=1)
            case _:
                return keras.ops.mean(x, axis=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the shape without the tokens."""
        return (input_shape[0], input_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Returns the options."""
        return {**super().get_config(), "readout": self._readout}
