"""The Inception module: convolutions of several sizes side by side (Szegedy et al. 2015)."""

from typing import Annotated, Any

import keras
from annotated_types import Gt

from advdl_vision.units import (
    Activation,
    ConfiguredLayer,
    Norm,
    Shape,
    Unit,
    build_chain,
    chain_shape,
    max_pooling,
    run_chain,
)


class InceptionModule(ConfiguredLayer):
    """Four branches over the same map, concatenated: 1x1; 1x1 then 3x3; 1x1 then 5x5; pooling then 1x1.

    Szegedy et al. 2015, Going deeper with convolutions (arXiv:1409.4842), figure 2b; the defaults are module
    3a of GoogLeNet. Images ``[batch, height, width, channels]`` keep their size and get the channels of all
    branches, in this order.

    Args:
        one: Channels of the 1x1 branch.
        three_reduce: Channels of the 1x1 before the 3x3.
        three: Channels of the 3x3 branch.
        five_reduce: Channels of the 1x1 before the 5x5.
        five: Channels of the 5x5 branch.
        pool: Channels of the 1x1 after the 3x3 max-pooling.
        norm: What normalises after each convolution: none, layer, group or batch.
        activation: What follows.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        *,
        one: Annotated[int, Gt(0)] = 64,
        three_reduce: Annotated[int, Gt(0)] = 96,
        three: Annotated[int, Gt(0)] = 128,
        five_reduce: Annotated[int, Gt(0)] = 16,
        five: Annotated[int, Gt(0)] = 32,
        pool: Annotated[int, Gt(0)] = 32,
        norm: Norm = "none",
        activation: Activation = "relu",
        **kwargs: Any,
    ) -> None:
        options = {
            "one": one,
            "three_reduce": three_reduce,
            "three": three,
            "five_reduce": five_reduce,
            "five": five,
            "pool": pool,
            "norm": norm,
            "activation": activation,
        }
        super().__init__(options, **kwargs)

    def build(self, input_shape: Shape) -> None:
        """Creates the variables, branch by branch."""
        self._pooling = max_pooling(3, 1, "pooling")
        self._one = [self._unit("one", 1)]
        self._three = [self._unit("three_reduce", 1), self._unit("three", 3)]
        self._five = [self._unit("five_reduce", 1), self._unit("five", 5)]
        self._pool = [self._unit("pool", 1)]
        for branch in (self._one, self._three, self._five, self._pool):
            build_chain(branch, input_shape)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Maps ``[batch, height, width, channels]`` to ``[batch, height, width, channels']``."""
        branches = [run_chain(branch, x, training) for branch in (self._one, self._three, self._five)]
        branches.append(run_chain(self._pool, self._pooling(x), training))
        return keras.ops.concatenate(branches, axis=-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the input's size and the channels of all branches."""
        channels = sum(self.options[name] for name in ("one", "three", "five", "pool"))
        return (*chain_shape(self._one, input_shape)[:-1], channels)

    def _unit(self, name: str, kernel: int) -> Unit:
        return Unit(
            self.options[name],
            kernel,
            norm=self.options["norm"],
            activation=self.options["activation"],
            dtype=self.dtype_policy,
            name=name,
        )


class LocalResponseNormalization(ConfiguredLayer):
    """Divides each channel by the activity of the channels around it (Krizhevsky et al. 2012, section 3.3).

    ``x / (bias + alpha / size * sum(x^2 over size channels)) ^ beta``, with the constants of GoogLeNet.

    Args:
        size: How many channels count, an odd number.
        alpha: Weight of their mean square.
        beta: The exponent.
        bias: Keeps the divisor from zero.
        **kwargs: What every Keras layer takes.
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Gt(0)] = 5,
        alpha: Annotated[float, Gt(0)] = 1e-4,
        beta: Annotated[float, Gt(0)] = 0.75,
        bias: Annotated[float, Gt(0)] = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__({"size": size, "alpha": alpha, "beta": beta, "bias": bias}, **kwargs)

    def call(self, x: Any) -> Any:
        """Normalises over the last axis."""
        size, channels = self.options["size"], x.shape[-1]
        around = [(0, 0)] * (len(x.shape) - 1) + [(size // 2, size // 2)]
        squares = keras.ops.pad(keras.ops.square(x), around)
        total = sum(squares[..., shift : shift + channels] for shift in range(size))
        divisor = self.options["bias"] + self.options["alpha"] / size * total
        return x * keras.ops.power(divisor, -self.options["beta"])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns the same shape."""
        return input_shape
