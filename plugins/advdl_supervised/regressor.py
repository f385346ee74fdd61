"""A regressor: a backbone with a linear head."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import gymnasium
import keras
import tensorflow as tf

from advdl.errors import UsageError
from advdl.plugin import Choice, Factory, Part
from advdl.training import Aux, Batch, DataLearner, DataSpec, Objective


class Regressor(DataLearner):
    """Predicts a vector: a backbone with a linear head.

    Args:
        spec: ``x`` that the backbone takes; ``c`` is a ``Box``, which is predicted.
        backbone: Turns samples into features.
        loss: Compares predictions with their targets.

    Raises:
        UsageError: ``c`` is no ``Box``.
    """

    score: ClassVar[str] = "error"
    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def __init__(
        self,
        spec: DataSpec,
        *,
        backbone: Annotated[Factory, Part("backbone")] = Choice("mlp", {"units": (40, 40)}),
        loss: Annotated[Factory, Part("loss")] = Choice("mse"),
    ) -> None:
        super().__init__(spec)
        self._shape = _shape(spec.c)
        self._loss: keras.losses.Loss = loss()
        features = backbone(spec.x)
        # Predictions keep the weights' precision where the features have less.
        dtype = keras.config.dtype_policy().variable_dtype
        values = keras.layers.Dense(math.prod(self._shape), dtype=dtype, name="values")(features.output)
        self.network = keras.Model(features.input, values, name="regressor")

    @property
    def models(self) -> Mapping[str, keras.Model]:
        """The network."""
        return {"network": self.network}

    def objectives(self) -> Sequence[Objective]:
        """One: the loss."""
        return [Objective("fit", self._fit, self.network.trainable_variables)]

    def predict(self, x: Any) -> tf.Tensor:
        """Predicts, ``[batch, ...] -> [batch, *c.shape]``."""
        return self._shaped(self.network(x, training=False))

    def measure(self, batch: Batch, seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Measures the squared error, averaged over the vector."""
        del seed
        error = self._flat(self.predict(batch["x"])) - self._flat(batch["c"])
        return {"error": tf.reduce_mean(error**2, axis=-1)}

    def _fit(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        del seed
        prediction = self.network(batch["x"], training=True)
        return tf.reduce_mean(self._loss.call(self._flat(batch["c"]), prediction)), {}

    def _flat(self, value: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(value, [-1, math.prod(self._shape)])
        return tf.cast(flat, self.network.output.dtype)

    def _shaped(self, flat: tf.Tensor) -> tf.Tensor:
        return tf.reshape(flat, [-1, *self._shape])


def _shape(space: gymnasium.Space[Any] | None) -> tuple[int, ...]:
    if not isinstance(space, gymnasium.spaces.Box):
        raise UsageError(
            f"regressor needs a Box to predict, not {space}",
            hint="learners and what they can do: advdl plugins list --kind learner",
        )
    return tuple(space.shape)
