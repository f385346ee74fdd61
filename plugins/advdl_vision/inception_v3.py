"""Inception v3 (Szegedy et al. 2016, arXiv:1512.00567)."""

from typing import Any

import gymnasium
import keras

from advdl_vision.images import LayerPart, Pooling, image_input, pool
from advdl_vision.units import Norm, Padding, Unit, average_pooling, max_pooling

# A convolution is (channels, rows, columns); a branch is a sequence of them.
Convolution = tuple[int, int, int]
Branch = tuple[Convolution, ...]


class InceptionV3(keras.Model):
    """Inception v3 without its classifiers.

    The network of keras.applications, weight by weight: convolutions have no bias, batch normalisation has no
    scale. With 1000 classes 23,851,784 parameters, moving averages counted. Maps images ``[batch, height,
    width, channels]`` to features ``[batch, 2048]``.

    Args:
        observation_space: What is observed.
        norm: What normalises: none, layer, group or batch. In bootstrapped learning take layer or group.
        pooling: How the last map becomes features.
        layer: A layer, of a plugin say, that the last map goes through before it is pooled.

    Raises:
        UsageError: The space is no image of 75 x 75 or more.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[Any],
        *,
        norm: Norm = "batch",
        pooling: Pooling = "average",
        layer: LayerPart = None,
    ) -> None:
        inputs, x = image_input(observation_space, "inception_v3", smallest=75)
        net = _Network(norm)
        x = net.small_maps(net.middle_maps(net.large_maps(net.stem(x))))
        super().__init__(inputs=inputs, outputs=pool(x, pooling, layer), name="inception_v3")


class _Network:
    """Puts units together; ``norm`` is that of all."""

    def __init__(self, norm: Norm) -> None:
        self._norm = norm

    def stem(self, x: Any) -> Any:
        """Reduces images by 8."""
        x = self._unit(x, (32, 3, 3), "stem_1", strides=2, padding="valid")
        x = self._unit(x, (32, 3, 3), "stem_2", padding="valid")
        x = max_pooling(3, 2, "stem_pool_1", "valid")(self._unit(x, (64, 3, 3), "stem_3"))
        x = self._unit(x, (80, 1, 1), "stem_4", padding="valid")
        x = self._unit(x, (192, 3, 3), "stem_5", padding="valid")
        return max_pooling(3, 2, "stem_pool_2", "valid")(x)

    def large_maps(self, x: Any) -> Any:
        """Modules 0 to 2 with 5x5 convolutions (figure 5), and the reduction after them."""
        for index, pooled in enumerate((32, 64, 64)):
            branches = (((64, 1, 1),), ((48, 1, 1), (64, 5, 5)), ((64, 1, 1), (96, 3, 3), (96, 3, 3)))
            x = self._module(x, branches, pooled, f"mixed_{index}")
        return self._reduction(x, (((384, 3, 3),), ((64, 1, 1), (96, 3, 3), (96, 3, 3))), "mixed_3")

    def middle_maps(self, x: Any) -> Any:
        """Modules 4 to 7 with 7x7 convolutions split in two (figure 6), and the reduction after them."""
        for index, width in enumerate((128, 160, 160, 192), start=4):
            rows, columns = (width, 7, 1), (width, 1, 7)
            single: Branch = ((width, 1, 1), columns, (192, 7, 1))
            double: Branch = ((width, 1, 1), rows, columns, rows, (192, 1, 7))
            x = self._module(x, (((192, 1, 1),), single, double), 192, f"mixed_{index}")
        branches = (((192, 1, 1), (320, 3, 3)), ((192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)))
        return self._reduction(x, branches, "mixed_8")

    def small_maps(self, x: Any) -> Any:
        """Modules 9 and 10, whose 3x3 branches fork at the end (figure 7)."""
        for name in ("mixed_9", "mixed_10"):
            first = self._unit(x, (320, 1, 1), f"{name}_1_1")
            second = self._fork(self._branch(x, ((384, 1, 1),), f"{name}_2"), f"{name}_2")
            third = self._fork(self._branch(x, ((448, 1, 1), (384, 3, 3)), f"{name}_3"), f"{name}_3")
            x = _concatenate([first, second, third, self._pooled(x, 192, name)], name)
        return x

    def _module(self, x: Any, branches: tuple[Branch, ...], pooled: int, name: str) -> Any:
        maps = [self._branch(x, branch, f"{name}_{index}") for index, branch in enumerate(branches, 1)]
        return _concatenate([*maps, self._pooled(x, pooled, name)], name)

    def _reduction(self, x: Any, branches: tuple[Branch, ...], name: str) -> Any:
        maps = [self._branch(x, b, f"{name}_{index}", reduce=True) for index, b in enumerate(branches, 1)]
        return _concatenate([*maps, max_pooling(3, 2, f"{name}_pool", "valid")(x)], name)

    def _branch(self, x: Any, branch: Branch, name: str, *, reduce: bool = False) -> Any:
        for index, convolution in enumerate(branch, start=1):
            last = reduce and index == len(branch)
            padding: Padding = "valid" if last else "same"
            x = self._unit(x, convolution, f"{name}_{index}", strides=2 if last else 1, padding=padding)
        return x

    def _fork(self, x: Any, name: str) -> Any:
        columns = self._unit(x, (384, 1, 3), f"{name}_columns")
        return _concatenate([columns, self._unit(x, (384, 3, 1), f"{name}_rows")], f"{name}_fork")

    def _pooled(self, x: Any, filters: int, name: str) -> Any:
        return self._unit(average_pooling(3, 1, f"{name}_pool")(x), (filters, 1, 1), f"{name}_pooled")

    def _unit(self, x: Any, convolution: Convolution, name: str, *, strides: int = 1, padding: Padding = "same") -> Any:
        filters, rows, columns = convolution
        return Unit(
            filters,
            (rows, columns),
            strides=strides,
            padding=padding,
            norm=self._norm,
            epsilon=1e-3,
            scale=self._norm != "batch",
            name=name,
        )(x)


def _concatenate(maps: list[Any], name: str) -> Any:
    return keras.layers.Concatenate(name=name)(maps)
