"""A policy as a learner: it imitates actions, or weighs them by their advantages."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import keras
import numpy as np
import tensorflow as tf
from annotated_types import Gt

from advdl.errors import UsageError
from advdl.plugin import Choice, Factory, Part
from advdl.rl.distributions import action_model
from advdl.training import Aux, Batch, DataLearner, DataSpec, Objective


class Policy(DataLearner):
    """A policy over actions ``c``, given observations ``x``.

    Batches with nothing more than these are imitated: the loss is minus the log-likelihood. Batches that have an
    ``advantage`` and the ``log_prob`` of the policy that played are learnt from by policy gradient: an adapter adapts
    by the plain one and judges by a clipped one (Schulman et al. 2017, Rothfuss et al. 2019). A ``weight`` of 0 leaves
    a sample out.

    Actions are raw: those of a bounded ``Box`` are in units of half its range, from its centre.

    Args:
        spec: ``x`` that the backbone takes; ``c`` is an action space.
        backbone: Turns observations into features.
        log_std: What a Gaussian's log standard deviation starts with.
        clip: How far the ratio of probabilities may go from 1 before it counts no more.

    Raises:
        UsageError: ``c`` is no action space.
    """

    score: ClassVar[str] = "log_likelihood"
    better: ClassVar[Literal["higher", "lower"]] = "higher"

    def __init__(
        self,
        spec: DataSpec,
        *,
        backbone: Annotated[Factory, Part("backbone")] = Choice("mlp", {"units": (64, 64), "activation": "tanh"}),
        log_std: float = 0.0,
        clip: Annotated[float, Gt(0)] = 0.3,
    ) -> None:
        super().__init__(spec)
        if spec.c is None:
            raise UsageError("policy needs actions, and these data have none", hint="advdl plugins list --kind learner")
        self.actions = action_model(spec.c, agent="policy")
        self._clip = clip
        features = backbone(spec.x)
        start = keras.initializers.Orthogonal(0.01)
        x = keras.layers.Dense(self.actions.outputs, dtype="float32", kernel_initializer=start, name="policy")(
            features.output
        )
        if self.actions.free:
            x = _Free(self.actions.free, log_std, name="free")(x)
        self.network = keras.Model(features.input, x, name="policy_network")

    @property
    def models(self) -> Mapping[str, keras.Model]:
        """The network."""
        return {"network": self.network}

    def objectives(self) -> Sequence[Objective]:
        """Two over the same variables: the plain loss, and the clipped one, with a divergence for a trust region."""
        variables = self.network.trainable_variables
        clipped = Objective("clipped", self._clipped, variables, self._divergence)
        return [Objective("policy", self._plain, variables), clipped]

    def predict(self, x: Any) -> tf.Tensor:
        """Returns the parameters of the policy's distribution, ``[batch, n]``."""
        return self.network(x, training=False)

    def measure(self, batch: Batch, seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Measures the log-likelihood of actions."""
        del seed
        return {"log_likelihood": self._log_prob(batch)}

    def _plain(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        del seed
        log_prob = self._log_prob(batch)
        if "advantage" not in batch:
            return -tf.reduce_mean(log_prob), {}
        return -_mean(tf.exp(log_prob - batch["log_prob"]) * batch["advantage"], batch), {}

    def _clipped(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        if "advantage" not in batch:
            return self._plain(batch, seed)
        ratio = tf.exp(self._log_prob(batch) - batch["log_prob"])
        bounded = tf.clip_by_value(ratio, 1.0 - self._clip, 1.0 + self._clip)
        gain = tf.minimum(ratio * batch["advantage"], bounded * batch["advantage"])
        far = tf.cast(tf.abs(ratio - 1.0) > self._clip, tf.float32)
        return -_mean(gain, batch), {"clipped": _mean(far, batch)}

    def _divergence(self, batch: Batch, seed: tf.Tensor) -> tf.Tensor:
        """Estimates the Kullback-Leibler divergence from the policy that played, by the actions that it took.

        ``r - 1 - log r`` is never negative; its second derivative, where both are the same, is Fisher's information.
        """
        del seed
        if "log_prob" not in batch:
            raise UsageError("a trust region is for policies that play, and these data are imitated")
        change = self._log_prob(batch) - batch["log_prob"]
        return _mean(tf.exp(change) - 1.0 - change, batch)

    def _log_prob(self, batch: Batch) -> tf.Tensor:
        parameters = self.network(batch["x"], training=True)
        return self.actions.distribution(parameters).log_prob(batch["c"])


class _Free(keras.layers.Layer):
    """Adds parameters that do not depend on the observation."""

    def __init__(self, size: int, start: float, *, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self._size, self._start = size, start

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the parameters."""
        initial = keras.initializers.Constant(self._start)
        self.values = self.add_weight(shape=(self._size,), initializer=initial, name="log_std")

    def call(self, outputs: Any) -> Any:
        """Puts them behind the outputs, by products: the second derivative of a concatenation is not batched."""
        width = int(outputs.shape[-1])
        places = np.eye(width + self._size, dtype=np.float32)
        free = keras.ops.matmul(self.values[None], places[width:])
        return keras.ops.matmul(outputs, places[:width]) + free

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the wider shape."""
        return (input_shape[0], int(input_shape[-1] or 0) + self._size)


def _mean(values: tf.Tensor, batch: Batch) -> tf.Tensor:
    weight = batch.get("weight", tf.ones_like(values))
    return tf.reduce_sum(values * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)
