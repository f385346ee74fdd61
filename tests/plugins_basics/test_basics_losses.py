import keras
import numpy as np
import pytest

from advdl_basics import losses

REAL = np.array([[0.0, 1.0, -2.0]], np.float32), np.array([[0.5, -1.0, 3.0]], np.float32)
CLASSES = np.array([[0.0, 1.0, 0.0]], np.float32), np.array([[0.2, 1.5, -0.3]], np.float32)


@pytest.mark.parametrize(
    ("ours", "theirs", "arguments"),
    [
        (losses.MeanSquaredError(), keras.losses.MeanSquaredError(), REAL),
        (losses.MeanAbsoluteError(), keras.losses.MeanAbsoluteError(), REAL),
        (losses.Huber(delta=0.7), keras.losses.Huber(delta=0.7), REAL),
        (losses.LogCosh(), keras.losses.LogCosh(), REAL),
        (losses.BinaryCrossentropy(), keras.losses.BinaryCrossentropy(from_logits=True), CLASSES),
        (
            losses.CategoricalCrossentropy(label_smoothing=0.1),
            keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
            CLASSES,
        ),
        (
            losses.SparseCategoricalCrossentropy(),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            (np.array([1]), CLASSES[1]),
        ),
    ],
)
def test_numbers_are_those_of_keras(ours, theirs, arguments):
    assert float(ours(*arguments)) == float(theirs(*arguments))


def test_huber_by_hand():
    errors = np.array([0.5, 3.0], np.float32)
    assert float(losses.Huber(delta=1.0)(np.zeros(2, np.float32), errors)) == pytest.approx((0.125 + 2.5) / 2)
