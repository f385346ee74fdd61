"""What every image backbone starts and ends with: the observation's pixels, and pooling to features."""

from typing import Annotated, Any, Literal

import gymnasium
import keras
import numpy as np

from advdl.errors import UsageError
from advdl.plugin import Factory, Part
from advdl.rl.images import box_shape, cannot_see, channels_last

Pooling = Literal["average", "max", "flatten"]
LayerPart = Annotated[Factory, Part("layer")] | None


def image_input(
    space: gymnasium.Space[Any], backbone: str, *, smallest: int, channels_first: bool | None = None
) -> tuple[Any, Any]:
    """Starts a functional model on images ``[batch, height, width, channels]``.

    Args:
        space: What is observed.
        backbone: The backbone's name, for errors.
        smallest: The least height and width that it takes.
        channels_first: Whether images come as ``[batch, channels, height, width]``; they are turned. None if the
            backbone has no such option.

    Returns:
        The model's input, and the image in the compute dtype, channels last, with uint8 divided by 255.

    Raises:
        UsageError: The space is no image, has its channels first, or is too small.
    """
    _check(channels_last(space) if channels_first else space, backbone, smallest, turns=channels_first is False)
    inputs = keras.Input(space.shape, dtype=str(np.dtype(space.dtype)), name="observation")
    pixels = Pixels(scale=1 / 255 if space.dtype == np.uint8 else 1.0, name="pixels")(inputs)
    return inputs, keras.layers.Permute((2, 3, 1), name="channels_last")(pixels) if channels_first else pixels


def pool(x: Any, pooling: Pooling, layer: Any = None) -> Any:
    """Turns a map ``[batch, height, width, channels]`` into features ``[batch, features]``.

    ``average`` and ``max`` take one number a channel, whatever the size; ``flatten`` keeps every position.

    Args:
        x: The map.
        pooling: How.
        layer: Builds a layer that the map goes through first.
    """
    x = x if layer is None else layer(name="layer")(x)
    match pooling:
        case "average":
            return keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="pool")(x)
        case "max":
            return keras.layers.GlobalMaxPooling2D(data_format="channels_last", name="pool")(x)
        case "flatten":
            return keras.layers.Flatten(data_format="channels_last", name="pool")(x)


def dense_head(x: Any, units: int, activation: str) -> Any:
    """Puts one fully connected layer on features; ``units = 0`` leaves them as they are."""
    if not units:
        return x
    x = keras.layers.Dense(units, name="dense")(x)
    return keras.layers.Activation(activation, name="dense_activation")(x)


class Pixels(keras.layers.Layer):
    """Turns pixels of any dtype into floats of the layer's compute dtype.

    Args:
        scale: What they are multiplied by.
        **kwargs: What every Keras layer takes.
    """

    def __init__(self, *, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._scale = scale

    def call(self, pixels: Any) -> Any:
        """Converts a batch."""
        floats = keras.ops.cast(pixels, self.compute_dtype)
        return floats * self._scale if self._scale != 1.0 else floats

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the same shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the options."""
        return {**super().get_config(), "scale": self._scale}


def _check(space: gymnasium.Space[Any], backbone: str, smallest: int, *, turns: bool) -> None:
    needs = f"it needs an image [height, width, channels] of {smallest} x {smallest} pixels or more"
    shape = box_shape(space, backbone, needs, turns=turns)
    refusal = cannot_see(backbone, shape)
    if len(shape) != 3:
        raise UsageError(refusal + needs, hint=_hint_for_rank(shape))
    if min(shape[:2]) < smallest:
        raise UsageError(refusal + needs, hint=f"the backbone {_that_fits(min(shape[:2]), backbone)!r} takes it")


def _hint_for_rank(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return (
            f"if it is a grey image, gymnasium.wrappers.ReshapeObservation to {[*shape, 1]} makes it fit; "
            "the backbone 'attention' takes it as a history, 'mlp' as a vector"
        )
    return "the backbone 'mlp' takes it as a vector"


def _that_fits(side: int, refused: str) -> str:
    """Names a backbone for so small an image; not the one whose options were too much for it."""
    smallest = {"nature_cnn": 36, "impala": 8, "minatar_cnn": 3}
    return next((name for name, least in smallest.items() if side >= least and name != refused), "mlp")
