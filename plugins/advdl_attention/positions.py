"""Positional encodings: what tells attention where a token is."""

from typing import Annotated, Any

import keras
from annotated_types import Gt

from advdl_attention.attention import Shape


class SinusoidalPositions(keras.layers.Layer):
    """Adds sines and cosines of the position (Vaswani et al. 2017, arXiv:1706.03762, section 3.5).

    Channel ``2i`` gets ``sin(position / period^(2i / width))`` and channel ``2i + 1`` the cosine. Tokens
    ``[batch, tokens, width]`` keep their shape; any number of tokens will do.

    Args:
        period: The longest wave is ``2 pi`` times as long.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, *, period: Annotated[float, Gt(0)] = 10_000.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.options: dict[str, Any] = {"period": period}

    def call(self, x: Any) -> Any:
        """Adds the encodings."""
        ops = keras.ops
        tokens, width = ops.shape(x)[1], x.shape[-1]
        channels = ops.arange(width, dtype="int32")
        even = ops.cast(channels - channels % 2, "float32")
        rates = ops.power(ops.cast(self.options["period"], "float32"), -even / width)
        angles = ops.cast(ops.arange(tokens), "float32")[:, None] * rates[None, :]
        encodings = ops.where((channels % 2 == 0)[None, :], ops.sin(angles), ops.cos(angles))
        return x + ops.cast(encodings, x.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the same shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the options."""
        return {**super().get_config(), **self.options}


class LearnedPositions(keras.layers.Layer):
    """Adds a learned vector a position, as BERT and ViT do (Dosovitskiy et al. 2021, arXiv:2010.11929).

    Tokens ``[batch, tokens, width]`` keep their shape; their number is fixed by the first call.

    Args:
        deviation: Standard deviation that the vectors start with.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, *, deviation: Annotated[float, Gt(0)] = 0.02, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.options: dict[str, Any] = {"deviation": deviation}

    def build(self, input_shape: Shape) -> None:
        """Creates the vectors."""
        start = keras.initializers.TruncatedNormal(stddev=self.options["deviation"])
        self._vectors = self.add_weight(shape=input_shape[1:], initializer=start, name="vectors")

    def call(self, x: Any) -> Any:
        """Adds the vectors."""
        return x + keras.ops.cast(self._vectors, x.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the same shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the options."""
        return {**super().get_config(), **self.options}
