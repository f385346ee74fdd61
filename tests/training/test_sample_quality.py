"""Measures of samples against what is known in closed form; programs and sheets of samples."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from gymnasium.spaces import Box, Discrete
from scipy import linalg
from scipy.spatial.distance import cdist

from advdl.errors import UsageError
from advdl.training import Dataset, DataSpec, SampleProgram, Sampler
from advdl.training.sample_pictures import is_image, sheet
from advdl.training.sample_quality import (
    distances,
    features_of,
    frechet_distance,
    nearest,
    precision_recall,
    quality,
)
from advdl.training.sampler import slerp


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def test_the_frechet_distance_is_scipys() -> None:
    one, two = normal(300, 5), normal(200, 5, seed=1) @ normal(5, 5, seed=2) + 0.5
    (m1, s1), (m2, s2) = ((rows.mean(0), np.cov(rows, rowvar=False)) for rows in (one, two))
    expected = np.sum((m1 - m2) ** 2) + np.trace(s1 + s2 - 2 * linalg.sqrtm(s1 @ s2).real)
    assert frechet_distance(one, two) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(one, one + 2.0) == pytest.approx(20.0, rel=1e-6)


def test_distances_are_scipys() -> None:
    one, two = normal(30, 4), normal(20, 4, seed=1)
    np.testing.assert_allclose(distances(one, two), cdist(one, two), atol=1e-9)
    np.testing.assert_allclose(nearest(one, two), cdist(one, two).min(1), atol=1e-9)


def test_precision_falls_where_samples_are_false_and_recall_where_they_lack_variety() -> None:
    real = normal(400, 2)
    assert min(precision_recall(real, normal(400, 2, seed=1))) > 0.85
    half_false = np.concatenate([normal(200, 2, seed=1), normal(200, 2, seed=2) + 30.0])
    assert precision_recall(real, half_false)[0] == pytest.approx(0.5, abs=0.1)
    one_side = np.abs(normal(400, 2, seed=1))
    precision, recall = precision_recall(real, one_side)
    assert precision > 0.85
    assert recall < 0.6


def test_copies_are_found_and_classes_are_judged() -> None:
    c = np.arange(300) % 3
    x = (normal(300, 4) + 4.0 * np.eye(3, 4)[c]).astype(np.float32)
    data = Dataset(x, c.astype(np.int64), DataSpec(Box(-np.inf, np.inf, (4,), np.float32), Discrete(3)))
    training, held_out = data.take(slice(0, 200)), data.take(slice(200, 300))
    features = features_of(training)
    assert "classifier" in features.name
    good = quality(training, held_out, held_out, features)
    assert good["copying"] == pytest.approx(1.0)
    assert good["tstr"] > 0.9
    assert 0.8 < good["tstr_recall"] <= good["tstr"]
    copied = quality(training, held_out, training, features)
    assert (copied["copying"], copied["frechet"]) == (pytest.approx(0, abs=1e-3), pytest.approx(0, abs=1e-3))
    mixed_up = replace(training, c=np.roll(training.c, 1))
    assert quality(training, held_out, mixed_up, features)["tstr"] < 0.4
    only_some = training.take(training.c != 2)
    missing = quality(training, held_out, only_some, features)
    assert missing["recall"] < good["recall"]
    assert missing["tstr_recall"] == 0.0  # no sample is of the third class


def test_without_classes_features_are_principal_components() -> None:
    data = Dataset(normal(100, 6).astype(np.float32), None, DataSpec(Box(-np.inf, np.inf, (6,), np.float32)))
    features = features_of(data)
    assert features.name == "6 principal components"
    np.testing.assert_allclose(
        np.cov(features.of(data.x).T), np.diag(np.diag(np.cov(features.of(data.x).T))), atol=1e-9
    )
    assert set(quality(data, data, data, features)) == {"frechet", "precision", "recall", "copying"}


class Noise(Sampler):
    """``c`` and noise, side by side."""

    score, better = "energy_score", "lower"
    models, noise_shape = {}, (2,)

    def objectives(self) -> Any:
        return []

    def measure(self, batch: Any, seed: Any) -> Any:
        return {"energy_score": self.energy_score(batch, seed, draws=64)}

    def generate(self, noise: Any, c: Any, seed: Any) -> Any:
        return noise if c is None else noise + tf.cast(c, tf.float32)[:, None]


PLANE = Box(-np.inf, np.inf, (2,), np.float32)


def test_a_program_draws_any_number_and_the_same_first_ones() -> None:
    program = SampleProgram(Noise(DataSpec(PLANE, Discrete(3))), batch_size=4)
    c = np.arange(10) % 3
    drawn = program.draw(10, 0, c)
    assert (drawn.shape, drawn.dtype) == ((10, 2), np.float32)
    np.testing.assert_array_equal(drawn[:6], program.draw(6, 0, c[:6]))
    assert not np.array_equal(drawn, program.draw(10, 1, c))
    assert len(np.unique(drawn[:, 0])) == 10
    assert program._program.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    ("c", "condition", "sentence"),
    [
        (Discrete(3), None, "draws x given c, and got no c"),
        (Discrete(3), np.zeros(4), r"shape \[5\], not \[4\]"),
        (Discrete(3), np.arange(5), "there is no class 3: this sampler's are 0 to 2"),
        (None, np.zeros(5), "is unconditional"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(c: Any, condition: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        SampleProgram(Noise(DataSpec(PLANE, c))).draw(5, 0, condition)


def test_walks_go_from_end_to_end_along_the_sphere() -> None:
    walks = SampleProgram(Noise(DataSpec(PLANE))).walks(3, 5, seed=0).reshape(3, 5, 2)
    ends = np.random.default_rng(0).normal(size=(3, 2, 2))
    np.testing.assert_allclose(walks[:, [0, -1]], ends, atol=1e-5)
    one, two = np.array([2.0, 0.0]), np.array([0.0, 2.0])
    np.testing.assert_allclose(np.linalg.norm(slerp(one, two, np.linspace(0, 1, 7)), axis=1), 2.0)
    np.testing.assert_allclose(slerp(one, one, np.array([0.5])), [one])


def test_a_sampler_without_noise_has_no_walks() -> None:
    still = type("Still", (Noise,), {"noise_shape": (0,)})(DataSpec(PLANE))
    with pytest.raises(UsageError, match="nothing between two of them"):
        SampleProgram(still).walks(2, 3, seed=0)


def test_the_energy_score_is_least_for_the_true_distribution() -> None:
    x = tf.constant(normal(3000, 2).astype(np.float32))
    seed = tf.constant([1, 2])

    def score(shift: float, times: float) -> float:
        sampler = Noise(DataSpec(PLANE))
        sampler.generate = lambda noise, c, seed: times * noise + shift  # type: ignore[method-assign]
        return float(tf.reduce_mean(sampler.energy_score({"x": x}, seed, draws=512)))

    true = score(0.0, 1.0)
    # E|x - y| / 2 of two standard normals in the plane: sqrt(pi) / 2.
    assert true == pytest.approx(np.sqrt(np.pi) / 2, rel=0.05)
    assert min(score(0.7, 1.0), score(0.0, 1.8), score(0.0, 0.4)) > true + 0.02


def test_sheets_show_images_in_rows() -> None:
    space = Box(0, 16, (8, 8, 1), np.uint8)
    images = np.stack([np.full((8, 8, 1), level, np.uint8) for level in (0, 16, 8)])
    page = sheet(images, 2, space)
    assert page.shape == (2 * 33 + 1, 2 * 33 + 1, 3)
    assert [page[5, 5, 0], page[5, 40, 0], page[40, 5, 0], page[40, 40, 0]] == [0, 255, 128, 128]
    assert is_image(space)
    assert not is_image(PLANE)
    assert not is_image(Box(-np.inf, np.inf, (8, 8, 1), np.float32))


def test_a_sampler_of_images_draws_its_sheets() -> None:
    space = Box(-9.0, 9.0, (2, 1, 1), np.float32)

    def generate(self: Any, noise: Any, c: Any, seed: Any) -> Any:
        return tf.clip_by_value(noise[:, :, None, None], -9.0, 9.0)

    sampler = type("Images", (Noise,), {"generate": generate})(DataSpec(space, Discrete(3)))
    data = Dataset(np.zeros((4, 2, 1, 1), np.float32), np.array([0, 1, 2, 1]), sampler.spec)
    drawn = sampler.pictures(data, 0)
    assert set(drawn) == {"samples", "interpolation"}
    assert all(picture.dtype == np.uint8 and picture.ndim == 3 for picture in drawn.values())
    np.testing.assert_array_equal(drawn["samples"], sampler.pictures(data, 0)["samples"])
    assert Noise(DataSpec(PLANE)).pictures(data, 0) == {}
