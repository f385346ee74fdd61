"""The classifier: its contract, its loss against the formula, augmentation, pictures, and a real run."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from advdl.cli.app import main
from advdl.errors import UsageError
from advdl.testing import check_learner, component
from advdl.training import Dataset, DataSpec
from advdl_supervised.augmentation import augmented
from advdl_supervised.pictures import confusion_matrix

SPEC = DataSpec(spaces.Box(0, 255, (6, 6, 1), np.uint8), spaces.Discrete(3))
SEED = tf.constant((1, 2), tf.int32)
SMALL = {"backbone": {"name": "mlp", "units": [8]}}


def classifier(**options):
    return component("learner", "classifier", **{**SMALL, **options})(SPEC)


def images(count=5, size=6):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 1), np.uint8)


def test_the_contract():
    check_learner(component("learner", "classifier", **{**SMALL, "dropout": 0.2, "label_smoothing": 0.1}))


def test_the_loss_is_kerass_with_smoothed_labels():
    learner, x, c = classifier(label_smoothing=0.2), images(), np.array([0, 1, 2, 0, 1])
    (objective,) = learner.objectives()
    loss, aux = objective.loss({"x": tf.constant(x), "c": tf.constant(c)}, SEED)
    reference = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    assert float(loss) == pytest.approx(float(reference(np.eye(3)[c], learner.predict(x))), rel=1e-5)
    assert aux["accuracy"] == np.mean(np.argmax(learner.predict(x), -1) == c)


def test_classes_that_do_not_start_at_0():
    spec = DataSpec(SPEC.x, spaces.Discrete(3, start=5))
    shifted, plain = component("learner", "classifier", **SMALL)(spec), classifier()
    for mine, theirs in zip(shifted.network.variables, plain.network.variables, strict=True):
        mine.assign(theirs)
    x, c = tf.constant(images()), tf.constant([0, 1, 2, 0, 1])
    for name, values in plain.measure({"x": x, "c": c}, SEED).items():
        assert np.array_equal(values, shifted.measure({"x": x, "c": c + 5}, SEED)[name])


def test_augmentation_moves_each_image_by_itself_and_repeats_edges():
    x = tf.constant(images(40))
    moved = augmented(x, SEED, shift=2, flip=True).numpy()
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), "edge")
    crops = [
        {
            padded[i][:, ::way][r : r + 6, c : c + 6].tobytes(): (r, c, way)
            for r in range(5)
            for c in range(5)
            for way in (1, -1)
        }
        for i in range(40)
    ]
    seen = [crops[index][moved[index].tobytes()] for index in range(40)]
    assert len(set(seen)) > 15
    assert np.array_equal(moved, augmented(x, SEED, shift=2, flip=True))
    assert np.array_equal(x, augmented(x, SEED, shift=0, flip=False))


def test_what_is_no_image_is_not_moved():
    vectors = DataSpec(spaces.Box(0, 1, (4,), np.float32), spaces.Discrete(2))
    with pytest.raises(UsageError, match="only images"):
        component("learner", "classifier", **{**SMALL, "shift": 1})(vectors)
    with pytest.raises(UsageError, match="classifier needs classes"):
        component("learner", "classifier", **SMALL)(DataSpec(SPEC.x, spaces.Box(0, 1, (2,))))


def test_pictures():
    data = Dataset(images(40), np.arange(40) % 3, SPEC, ("ant", "bee", "cow"))
    drawn = classifier().pictures(data, seed=0)
    assert sorted(drawn) == ["confusion", "predictions"]
    assert all(picture.dtype == np.uint8 and picture.shape[2] == 3 for picture in drawn.values())
    truth = np.array([0, 1, 1, 2])
    right, wrong = (confusion_matrix(truth, guess, data.names) for guess in (truth, (truth + 1) % 3))
    assert not np.array_equal(right, wrong)


def test_a_run_learns_stops_goes_on_and_shows_pictures(tmp_path, capsys):
    sets = ["learner.backbone.units=[32]", "evaluation.every=100", "log.every=50", "trainer.jit=off"]
    command = ["model", "train", "classifier", "--runs-dir", str(tmp_path), "--quiet", "--json"]
    flags = [part for setting in sets for part in ("--set", setting)]
    assert main([*command, "--steps", "200", *flags]) == 0
    short = json.loads(capsys.readouterr().out)
    assert main(["runs", "resume", short["run"], "--steps", "400", "--runs-dir", str(tmp_path), "--quiet"]) == 0
    capsys.readouterr()
    assert main([*command, "--steps", "400", *flags]) == 0
    straight = json.loads(capsys.readouterr().out)
    found = []
    for run in (short, straight):
        assert (
            main(["model", "evaluate", run["run"], "--checkpoint", "400", "--runs-dir", str(tmp_path), "--json"]) == 0
        )
        found.append(json.loads(capsys.readouterr().out) | {"run": ""})
    assert found[0] == found[1]  # a run that stopped equals one that never did
    assert found[0]["accuracy"] > 0.85
    events = EventAccumulator(straight["folder"], size_guidance={"images": 0})
    events.Reload()
    assert events.Tags()["images"] == ["images/confusion", "images/predictions"]
    assert main(["runs", "show", straight["run"], "--runs-dir", str(tmp_path)]) == 0
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["classifer"], "there is no model 'classifer'"),
        (["classifier", "--data", "digitz"], "there is no data 'digitz' (from --data digitz)"),
        (
            ["classifier", "--set", "model.batch_size=5000"],
            "a batch of 5000 is more than the 1438 samples",
        ),
    ],
)
def test_wrong_input_leaves_no_run(tmp_path, capsys, words, message):
    assert main(["model", "train", *words, "--runs-dir", str(tmp_path)]) == 2
    assert f"error: {message}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
