"""A classifier: a backbone with a softmax head."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import gymnasium
import keras
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Interval
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.plugin import Choice, Factory, Part
from advdl.training import Aux, Batch, DataLearner, Dataset, DataSpec, Objective, fold
from advdl_supervised.augmentation import augmented
from advdl_supervised.pictures import confusion_matrix, predictions

_SHOWN, _AT_ONCE = 32, 256


class Classifier(DataLearner):
    """Tells classes apart: a backbone, dropout and a linear head, trained on the cross-entropy.

    Weight decay is the optimizer's: ``--set optimizer='{name="adamw", weight_decay=0.01}'``.

    Args:
        spec: ``x`` that the backbone takes; ``c`` is ``Discrete``.
        backbone: Turns samples into features.
        label_smoothing: Share of a target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
        dropout: Share of the features that is dropped while training (Srivastava et al. 2014).
        shift: Images are moved by up to so many pixels while training, their edges repeated.
        flip: Whether images are mirrored, left to right, half of the time while training.

    Raises:
        UsageError: ``c`` is not ``Discrete``, or what is no image shall be moved or mirrored.
    """

    score: ClassVar[str] = "accuracy"
    better: ClassVar[Literal["higher", "lower"]] = "higher"

    def __init__(
        self,
        spec: DataSpec,
        *,
        backbone: Annotated[Factory, Part("backbone")] = Choice("mlp", {"units": (128, 128)}),
        label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        shift: Annotated[int, Ge(0)] = 0,
        flip: bool = False,
    ) -> None:
        super().__init__(spec)
        self._classes, self._smoothing = _count_classes(spec.c), label_smoothing
        self._shift, self._flip = shift, flip
        if shift or flip:
            _require_images(spec.x)
        self.backbone: keras.Model = backbone(spec.x)
        features = keras.layers.Dropout(dropout, name="dropout")(self.backbone.output)
        logits = keras.layers.Dense(self._classes, dtype="float32", name="logits")(features)
        self.network = keras.Model(self.backbone.input, logits, name="classifier")

    @property
    def models(self) -> Mapping[str, keras.Model]:
        """The network, the backbone in it."""
        return {"network": self.network}

    def backbones(self) -> Sequence[keras.Model]:
        """Returns the backbone."""
        return (self.backbone,)

    def objectives(self) -> Sequence[Objective]:
        """One: the cross-entropy."""
        return [Objective("classify", self._cross_entropy, self.network.trainable_variables)]

    def predict(self, x: Any) -> tf.Tensor:
        """Returns the classes' logits, ``[batch, classes]``."""
        return self.network(x, training=False)

    def measure(self, batch: Batch, seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Measures whether the most probable class is right, and the cross-entropy in nats."""
        del seed
        logits = self.predict(batch["x"])
        right = tf.argmax(logits, axis=-1, output_type=tf.int64) == self._index(batch["c"])
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(self._index(batch["c"]), logits)
        return {"accuracy": tf.cast(right, tf.float32), "cross_entropy": loss}

    def pictures(self, data: Dataset, seed: int) -> Mapping[str, NDArray[np.uint8]]:
        """Draws the confusion matrix, and images with what they were taken for."""
        assert data.c is not None
        logits = np.concatenate([self.network(part, training=False) for part in _parts(data.x)])
        truth, guess = data.c - self._start, logits.argmax(axis=-1)
        drawn = {"confusion": confusion_matrix(truth, guess, data.names)}
        if data.x.dtype == np.uint8 and data.x.ndim == 4:
            rows = np.random.default_rng(seed).permutation(len(data))[:_SHOWN]
            drawn["predictions"] = predictions(data.x[rows], truth[rows], guess[rows], data.names)
        return drawn

    def _cross_entropy(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        x = augmented(batch["x"], fold(seed, 0), shift=self._shift, flip=self._flip)
        logits, index = self.network(x, training=True), self._index(batch["c"])
        target = tf.one_hot(index, self._classes) * (1.0 - self._smoothing) + self._smoothing / self._classes
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
        right = tf.argmax(logits, axis=-1, output_type=tf.int64) == index
        return loss, {"accuracy": tf.reduce_mean(tf.cast(right, tf.float32))}

    @property
    def _start(self) -> int:
        return int(self.spec.c.start)  # type: ignore[union-attr]

    def _index(self, c: tf.Tensor) -> tf.Tensor:
        return tf.cast(c, tf.int64) - self._start


def _count_classes(space: gymnasium.Space[Any] | None) -> int:
    if not isinstance(space, gymnasium.spaces.Discrete):
        raise UsageError(
            f"classifier needs classes, a Discrete space, not {space}",
            hint="learners and what they can do: advdl plugins list --kind learner",
        )
    return int(space.n)


def _require_images(space: gymnasium.Space[Any]) -> None:
    if len(space.shape or ()) != 3:
        raise UsageError(f"only images [height, width, channels] can be moved or mirrored, not {space}")


def _parts(x: NDArray[Any]) -> list[NDArray[Any]]:
    return [x[start : start + _AT_ONCE] for start in range(0, len(x), _AT_ONCE)]
