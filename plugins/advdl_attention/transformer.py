"""The transformer encoder block."""

from typing import Annotated, Any

import keras
from annotated_types import Ge, Gt, Lt

from advdl_attention.attention import MultiHeadAttention, Shape, spec_of


class TransformerBlock(keras.layers.Layer):
    """Attention of tokens to each other, then a feed-forward network, each with a shortcut around it.

    Vaswani et al. 2017 (arXiv:1706.03762), section 3.1. Layer normalisation comes first by default, inside
    the shortcut (Xiong et al. 2020, arXiv:2002.04745): it trains without warm-up, and reinforcement learning
    fails with the original order (Parisotto et al. 2020, arXiv:1910.06764). Tokens ``[batch, tokens, width]``
    keep their shape.

    Args:
        heads: How many heads; they divide the width.
        ratio: Width of the feed-forward network, in multiples of the tokens'.
        activation: What its first layer is followed by.
        norm_first: Whether to normalise before attention and network, or after their shortcuts.
        causal: Whether a token sees only itself and those before it.
        dropout: The share of attention weights and of outputs that training drops.
        epsilon: Added to the variance.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        *,
        heads: Annotated[int, Gt(0)] = 4,
        ratio: Annotated[int, Gt(0)] = 4,
        activation: str = "gelu",
        norm_first: bool = True,
        causal: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        epsilon: Annotated[float, Gt(0)] = 1e-6,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.options: dict[str, Any] = {
            "heads": heads,
            "ratio": ratio,
            "activation": activation,
            "norm_first": norm_first,
            "causal": causal,
            "dropout": dropout,
            "epsilon": epsilon,
        }
        policy = self.dtype_policy
        self._attention = MultiHeadAttention(
            heads=heads, causal=causal, dropout=dropout, dtype=policy, name="attention"
        )
        self._norms = [
            keras.layers.LayerNormalization(epsilon=epsilon, dtype=policy, name=f"norm_{index}") for index in (1, 2)
        ]
        self._drops = [keras.layers.Dropout(dropout, dtype=policy, name=f"dropout_{index}") for index in (1, 2)]

    def build(self, input_shape: Shape) -> None:
        """Creates the variables."""
        width = int(input_shape[-1] or 0)
        policy, ratio = self.dtype_policy, self.options["ratio"]
        self._wide = keras.layers.Dense(width * ratio, activation=self.options["activation"], dtype=policy, name="wide")
        self._narrow = keras.layers.Dense(width, dtype=policy, name="narrow")
        for layer in (self._norms[0], self._attention, self._norms[1], self._wide):
            layer.build(input_shape)
        self._narrow.build((*input_shape[:-1], width * ratio))

    def call(
        self,
        x: Any,
        mask: Any = None,
        attention_mask: Any = None,
        return_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        """Encodes tokens.

        Args:
            x: Tokens ``[batch, tokens, width]``.
            mask: Which tokens there are, ``[batch, tokens]``, true where one is.
            attention_mask: Which token may look at which, ``[batch, tokens, tokens]`` or ``[tokens, tokens]``.
            return_scores: Whether to return the attention weights too.
            training: Whether to drop.

        Returns:
            Tokens of the same shape, and if wanted the weights ``[batch, heads, tokens, tokens]``.
        """
        first = self.options["norm_first"]
        seen, scores = self._attention(
            self._norms[0](x) if first else x,
            mask=mask,
            attention_mask=attention_mask,
            return_scores=True,
            training=training,
        )
        x = x + self._drops[0](seen, training=training)
        x = x if first else self._norms[0](x)
        thought = self._narrow(self._wide(self._norms[1](x) if first else x))
        x = x + self._drops[1](thought, training=training)
        x = x if first else self._norms[1](x)
        return (x, scores) if return_scores else x

    def compute_output_spec(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Returns the same shape; the weights' too where they are wanted."""
        return spec_of(super(), x, x.shape[-1], args, kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the options."""
        return {**super().get_config(), **self.options}
