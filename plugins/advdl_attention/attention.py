"""Scaled dot-product attention, with one head and with many (Vaswani et al. 2017, arXiv:1706.03762)."""

import math
from typing import Annotated, Any

import keras
from annotated_types import Ge, Gt, Lt

from advdl.errors import UsageError

Shape = tuple[int | None, ...]


class MultiHeadAttention(keras.layers.Layer):
    """Attention of several heads, each over its own projection of the tokens.

    Queries ``[batch, queries, width]`` attend to values ``[batch, keys, width']``; without values the tokens
    attend to each other. All axes between the first and the last are tokens, so an image ``[batch, height,
    width, channels]`` attends over its pixels. Numerically it is ``keras.layers.MultiHeadAttention``, except
    that a query that may attend to nothing gets zeros instead of an average of what is forbidden.

    Args:
        heads: How many heads.
        key_dim: Size of a head's queries and keys; nothing means the width divided by ``heads``.
        value_dim: Size of a head's values; nothing means ``key_dim``.
        causal: Whether a token sees only itself and those before it.
        dropout: The share of attention weights that training drops.
        bias: Whether the projections add one.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        *,
        heads: Annotated[int, Gt(0)] = 4,
        key_dim: Annotated[int, Gt(0)] | None = None,
        value_dim: Annotated[int, Gt(0)] | None = None,
        causal: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.options: dict[str, Any] = {
            "heads": heads,
            "key_dim": key_dim,
            "value_dim": value_dim,
            "causal": causal,
            "dropout": dropout,
            "bias": bias,
        }
        self._drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, query_shape: Shape, value_shape: Shape | None = None, key_shape: Shape | None = None) -> None:
        """Creates the projections.

        Raises:
            UsageError: The width cannot be divided among the heads.
        """
        value_shape = value_shape or query_shape
        heads, width = self.options["heads"], int(query_shape[-1] or 0)
        key_dim = self.options["key_dim"] or head_size(width, heads)
        value_dim = self.options["value_dim"] or key_dim
        self._query = self._dense(heads * key_dim, "query", query_shape)
        self._key = self._dense(heads * key_dim, "key", key_shape or value_shape)
        self._value = self._dense(heads * value_dim, "value", value_shape)
        self._output = self._dense(width, "output", (*query_shape[:-1], heads * value_dim))

    def call(
        self,
        query: Any,
        value: Any = None,
        key: Any = None,
        mask: Any = None,
        value_mask: Any = None,
        attention_mask: Any = None,
        return_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        """Attends.

        Args:
            query: Tokens that look, ``[batch, queries, width]``.
            value: Tokens that are looked at, ``[batch, keys, width']``; the queries when None.
            key: What they are found by, ``[batch, keys, width'']``; the values when None.
            mask: Which queries there are, ``[batch, queries]``, true where one is; without values, these are
                what is looked at too.
            value_mask: Which values there are, ``[batch, keys]``.
            attention_mask: Which query may look at which key, ``[batch, queries, keys]`` or ``[queries, keys]``.
            return_scores: Whether to return the attention weights too.
            training: Whether to drop attention weights.

        Returns:
            Tokens of the queries' shape, and if wanted the weights ``[batch, heads, queries, keys]``, which
            sum to one over the keys.
        """
        shape = keras.ops.shape(query)
        query, value, key = _tokens(query), _tokens(value), _tokens(key)
        keys_there = mask if value is None else value_mask
        value = query if value is None else value
        key = value if key is None else key
        output, scores = attend(
            self._split(self._query(query)),
            self._split(self._key(key)),
            self._split(self._value(value)),
            allowed(query, key, keys_there, attention_mask, causal=self.options["causal"]),
            drop=lambda weights: self._drop(weights, training=training),
        )
        output = self._output(keras.ops.reshape(output, (-1, *output.shape[1:2], self._output.kernel.shape[0])))
        output = keras.ops.reshape(output, shape)
        return (output, scores) if return_scores else output

    def compute_output_spec(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """Returns the queries' shape; the weights' too where they are wanted."""
        return spec_of(super(), query, query.shape[-1], args, kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the options."""
        return {**super().get_config(), **self.options}

    def _dense(self, units: int, name: str, shape: Shape) -> Any:
        layer = keras.layers.Dense(units, use_bias=self.options["bias"], dtype=self.dtype_policy, name=name)
        layer.build(shape)
        return layer

    def _split(self, tokens: Any) -> Any:
        """Turns ``[batch, tokens, heads * size]`` into ``[batch, tokens, heads, size]``."""
        heads = self.options["heads"]
        return keras.ops.reshape(tokens, (-1, tokens.shape[1], heads, tokens.shape[-1] // heads))


class SelfAttention(keras.layers.Layer):
    """Scaled dot-product attention of one head: ``softmax(q k^T / sqrt(size)) v`` (section 3.2.1).

    Queries, keys and values are linear in the tokens; nothing is projected afterwards. Tokens ``[batch,
    tokens, width]``, or an image whose pixels are the tokens, keep their shape but for the last axis.

    Args:
        units: Size of queries, keys and values; nothing means the tokens' width.
        causal: Whether a token sees only itself and those before it.
        dropout: The share of attention weights that training drops.
        bias: Whether the projections add one.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        *,
        units: Annotated[int, Gt(0)] | None = None,
        causal: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.options: dict[str, Any] = {"units": units, "causal": causal, "dropout": dropout, "bias": bias}
        self._drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape: Shape) -> None:
        """Creates the projections."""
        units, bias = self.options["units"] or input_shape[-1], self.options["bias"]
        self._projections = [
            keras.layers.Dense(units, use_bias=bias, dtype=self.dtype_policy, name=name)
            for name in ("query", "key", "value")
        ]
        for projection in self._projections:
            projection.build(input_shape)

    def call(
        self,
        x: Any,
        mask: Any = None,
        attention_mask: Any = None,
        return_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        """Attends.

        Args:
            x: Tokens ``[batch, tokens, width]``.
            mask: Which tokens there are, ``[batch, tokens]``, true where one is.
            attention_mask: Which token may look at which, ``[batch, tokens, tokens]`` or ``[tokens, tokens]``.
            return_scores: Whether to return the attention weights too.
            training: Whether to drop attention weights.

        Returns:
            Tokens ``[batch, tokens, units]``, and if wanted the weights ``[batch, tokens, tokens]``, which
            sum to one over the last axis.
        """
        tokens = _tokens(x)
        query, key, value = (projection(tokens)[:, :, None, :] for projection in self._projections)
        output, scores = attend(
            query,
            key,
            value,
            allowed(tokens, tokens, mask, attention_mask, causal=self.options["causal"]),
            drop=lambda weights: self._drop(weights, training=training),
        )
        output = keras.ops.reshape(output, (*keras.ops.shape(x)[:-1], output.shape[-1]))
        return (output, scores[:, 0]) if return_scores else output

    def compute_output_spec(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Returns the shape with ``units`` as the last axis; the weights' too where they are wanted."""
        return spec_of(super(), x, self.options["units"] or x.shape[-1], args, kwargs)

    def get_config(self) -> dict[str, Any]:
        """Returns the options."""
        return {**super().get_config(), **self.options}


def attend(query: Any, key: Any, value: Any, may: Any = None, *, drop: Any = None) -> tuple[Any, Any]:
    """Weighs values by how well their keys match the queries; the softmax is in float32 or better.

    In float16 so is the product before it: that of a query and a key of a few hundred each is beyond float16's range.

    Args:
        query: ``[batch, queries, heads, size]``.
        key: ``[batch, keys, heads, size]``.
        value: ``[batch, keys, heads, size']``.
        may: Boolean, what may be seen, broadcast to ``[batch, heads, queries, keys]``; all when None.
        drop: What happens to the weights before they are used.

    Returns:
        ``[batch, queries, heads, size']`` and the weights ``[batch, heads, queries, keys]``. Weights of a
        query that may see nothing are zeros.
    """
    ops = keras.ops
    dtype = keras.backend.standardize_dtype(query.dtype)
    if dtype == "float16":
        query, key = ops.cast(query, "float32"), ops.cast(key, "float32")
    scaled = query * ops.cast(1.0 / math.sqrt(query.shape[-1]), query.dtype)
    scores = ops.einsum("bqhd,bkhd->bhqk", scaled, key)
    scores = ops.cast(scores, "float32") if dtype == "bfloat16" else scores
    if may is not None:
        scores = ops.where(may, scores, ops.cast(-1e30, scores.dtype))
    weights = ops.softmax(scores, axis=-1)
    if may is not None:
        weights = ops.where(may, weights, ops.zeros_like(weights))
    weights = ops.cast(weights, value.dtype)
    used = weights if drop is None else drop(weights)
    return ops.einsum("bhqk,bkhd->bqhd", used, value), weights


def allowed(query: Any, key: Any, mask: Any, attention_mask: Any, *, causal: bool) -> Any:
    """Joins masks to what may be seen, broadcast to ``[batch, heads, queries, keys]``; None when that is all."""
    ops = keras.ops
    masks = []
    if mask is not None:
        mask = ops.cast(mask, "bool")
        masks.append(ops.reshape(mask, (-1, 1, 1, key.shape[1])))
    if attention_mask is not None:
        masks.append(ops.reshape(ops.cast(attention_mask, "bool"), (-1, 1, query.shape[1], key.shape[1])))
    if causal:
        rows, columns = ops.arange(query.shape[1]), ops.arange(key.shape[1])
        masks.append((rows[:, None] >= columns[None, :])[None, None])
    result = None
    for one in masks:
        result = one if result is None else ops.logical_and(result, one)
    return result


def spec_of(layer: Any, x: Any, width: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Says what a call returns without tracing it, which takes a second a block, unless scores are wanted."""
    if args or kwargs.get("return_scores"):
        return layer.compute_output_spec(x, *args, **kwargs)
    return keras.KerasTensor((*x.shape[:-1], width), dtype=layer.compute_dtype)


def head_size(width: int, heads: int) -> int:
    """Returns the size of a head.

    Raises:
        UsageError: The heads do not divide the width.
    """
    if width % heads:
        raise UsageError(
            f"a width of {width} cannot be divided among {heads} heads",
            hint=f"take a width that is a multiple of {heads}, such as {heads * max(1, round(width / heads))}",
        )
    return width // heads


def _tokens(x: Any) -> Any:
    """Makes one axis of all between the first and the last."""
    if x is None or len(x.shape) == 3:
        return x
    if len(x.shape) < 3:
        raise UsageError(
            f"attention cannot see inputs of shape {list(x.shape)}: it needs tokens [batch, tokens, width]"
        )
    return keras.ops.reshape(x, (-1, math.prod(x.shape[1:-1]), x.shape[-1]))
