import json
import subprocess
import sys
from pathlib import Path

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import CorruptError, ExitCode, UsageError
from advdl.training import manifest
from advdl.training.checkpoint import CheckpointStore

EVERY_DTYPE = {
    "bool": np.array([True, False, True]),
    "uint8": np.arange(256, dtype=np.uint8).reshape(16, 16),
    "int32": np.array([[-(2**31), 2**31 - 1]], np.int32),
    "int64": np.array(-(2**63), np.int64),
    "float16": np.array([np.nan, -0.0, np.inf, 6e-8], np.float16),
    "bfloat16": np.array([1.5, -2.5, 3e38], ml_dtypes.bfloat16),
    "float32": np.array([[1e-45, np.nextafter(np.float32(1), np.float32(2))]], np.float32),
    "float64": np.array(np.pi),
    "empty": np.zeros((0, 3), np.float32),
}


def bits(array):
    array = np.asarray(array)
    return array.shape, str(array.dtype), array.tobytes()


def scalar(value):
    return {"x": tf.Variable(value, dtype=tf.float32)}


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "run" / "checkpoints")


def test_every_dtype_comes_back_bit_for_bit(store):
    saved = {f"learner/{name}": tf.Variable(value) for name, value in EVERY_DTYPE.items()}
    store.save(12345, saved, {"episodes": 7, "metrics_lines": 3})
    live = {name: tf.Variable(tf.zeros_like(variable)) for name, variable in saved.items()}
    restored = store.restore(live)
    assert restored.step == 12345
    assert restored.meta == {"episodes": 7, "metrics_lines": 3}
    for name, value in EVERY_DTYPE.items():
        assert bits(live[f"learner/{name}"]) == bits(value)
    assert {name: bits(value) for name, value in store.read(12345).items()} == {
        f"learner/{name}": bits(value) for name, value in EVERY_DTYPE.items()
    }


def test_arrays_and_keras_variables_are_state_too(store):
    kept = np.arange(6, dtype=np.int16).reshape(2, 3)
    variable = keras.Variable([1.0, 2.0], name="kernel")
    state = {"array": kept, "count": np.array(3), "keras": variable}
    store.save(1, state, {})
    expected = bits(kept), bits(3), bits(variable.numpy())
    kept[:] = 0
    state["count"][...] = 0
    variable.assign([0.0, 0.0])
    store.restore(state)
    assert (bits(kept), bits(state["count"]), bits(variable.numpy())) == expected


def test_the_folder_holds_what_the_documentation_says(store):
    folder = store.save(12345, scalar(1.0), {"episodes": 7})
    assert folder == store.folder / "step-000000012345"
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "meta.json",
        "state.data-00000-of-00001",
        "state.index",
    ]
    facts = json.loads((folder / "manifest.json").read_text())
    assert facts["format"] == 1
    assert facts["step"] == 12345
    assert facts["tensors"] == {"x": {"dtype": "float32", "shape": []}}
    assert facts["files"]["state.data-00000-of-00001"]["size"] == 4
    assert tf.train.load_checkpoint(str(folder / "state")).get_tensor("x") == 1.0


def test_the_newest_step_is_restored_unless_another_is_named(store):
    for step in (5, 10):
        store.save(step, scalar(step), {})
    live = scalar(0)
    assert store.restore(live).step == 10
    assert live["x"].numpy() == 10
    assert store.restore(live, 5).step == 5
    assert live["x"].numpy() == 5
    assert store.meta(5) == {}


def test_pruning_keeps_the_last_and_the_best(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=2)
    for step in range(1, 8):
        store.save(step, scalar(step), {})
        if step in (2, 3):
            store.protect(step)
    assert store.steps() == [3, 6, 7]
    assert store.best() == 3
    store.protect(7)
    store.save(8, scalar(8), {})
    assert store.steps() == [7, 8]
    assert CheckpointStore(tmp_path).best() == 7


def test_a_protected_step_still_verifies(store):
    store.save(1, scalar(1), {})
    store.protect(1)
    assert store.restore(scalar(0)).step == 1


def test_saving_a_sound_step_again_changes_nothing(store):
    folder = store.save(1, scalar(1.0), {"first": True})
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    store.save(1, scalar(2.0), {"first": False})
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_saving_a_damaged_step_again_replaces_it(store):
    store.save(1, scalar(1.0), {})
    store.protect(1)
    (store.path(1) / "meta.json").unlink()
    store.save(1, scalar(2.0), {})
    live = scalar(0)
    store.restore(live)
    assert live["x"].numpy() == 2.0
    assert store.best() == 1


def test_going_on_from_an_earlier_step_leaves_one_history(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=5)
    for step in (10, 20, 30):
        store.save(step, scalar(step), {})
    (store.path(30) / "state.index").write_bytes(b"")
    assert store.restore(scalar(0), warn=[].append).step == 20
    store.save(25, scalar(25), {})
    assert store.steps() == [10, 20, 25]


def test_a_damaged_newest_step_gives_way_to_the_one_before_with_one_warning(tmp_path):
    store = CheckpointStore(tmp_path, keep_last=3)
    for step in (1, 2, 3):
        store.save(step, scalar(step), {})
    (store.path(3) / "manifest.json").unlink()
    (store.path(2) / "state.data-00000-of-00001").write_bytes(b"1234")
    warnings = []
    live = scalar(0)
    assert store.restore(live, warn=warnings.append).step == 1
    assert live["x"].numpy() == 1
    assert warnings == [
        f"damaged in {tmp_path}: step 3 (manifest.json is missing), "
        "step 2 (state.data-00000-of-00001 has changed since it was written); step 1 is used instead"
    ]
    with pytest.warns(UserWarning, match="step 1 is used instead"):
        store.restore(live)


def test_no_sound_step_is_an_error_of_its_own(store):
    store.save(1, scalar(1), {})
    store.save(2, scalar(2), {})
    (store.path(2) / "state.index").unlink()
    with pytest.raises(CorruptError, match=r"step 2 \(state.index is missing\)") as caught:
        store.restore(scalar(0), 2)
    assert caught.value.hint == "other steps that are there: 1"
    (store.path(1) / "state.index").unlink()
    with pytest.raises(CorruptError) as caught:
        store.restore(scalar(0))
    assert caught.value.exit_code == ExitCode.CORRUPT
    with pytest.raises(CorruptError, match=r"state\.index is missing"):
        store.read(1)
    with pytest.raises(CorruptError, match=r"state\.index is missing"):
        store.meta(1)


def test_what_is_not_there_is_a_usage_error(store):
    with pytest.raises(UsageError, match="there is no checkpoint in "):
        store.restore(scalar(0))
    store.save(5, scalar(5), {})
    for call in (store.read, store.meta, store.protect, lambda step: store.restore(scalar(0), step)):
        with pytest.raises(UsageError, match="no checkpoint of step 7") as caught:
            call(7)
        assert caught.value.hint == "steps that are there: 5"
    with pytest.raises(UsageError, match="keep_last"):
        CheckpointStore(store.folder, keep_last=0)


@pytest.mark.parametrize(
    ("live", "sentence"),
    [
        (
            {"a": np.zeros((4, 2), np.float32)},
            "'a' is float32 [4, 3] in it and float32 [4, 2] here (and 1 more)",
        ),
        (
            {"a": np.zeros((4, 3), np.int32), "b": np.zeros(())},
            "'a' is float32 [4, 3] in it and int32 [4, 3] here",
        ),
        ({"a": np.zeros((4, 3), np.float32)}, "it has 'b', which this run has not"),
        (
            {"a": np.zeros((4, 3), np.float32), "b": np.zeros(()), "c": np.zeros(())},
            "it has no 'c'",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused_whole(store, live, sentence):
    store.save(5, {"a": tf.Variable(tf.ones([4, 3])), "b": tf.Variable(np.float64(1))}, {})
    variables = {name: tf.Variable(value) for name, value in live.items()}
    with pytest.raises(UsageError) as caught:
        store.restore(variables)
    assert caught.value.message == f"the checkpoint of step 5 in {store.folder} does not fit: {sentence}"
    assert all(not np.any(variable.numpy()) for variable in variables.values())


def test_a_part_of_the_state_can_be_restored_alone(store):
    store.save(1, {"learner/w": tf.Variable([1.0, 2.0]), "replay/x": tf.Variable(tf.ones([100]))}, {})
    live = {"learner/w": tf.Variable([0.0, 0.0])}
    store.restore(live, partial=True)
    assert live["learner/w"].numpy().tolist() == [1.0, 2.0]
    assert list(store.read(1, prefix="learner/")) == ["learner/w"]
    with pytest.raises(UsageError, match="it has no 'learner/v'"):
        store.restore({"learner/v": tf.Variable(0.0)}, partial=True)


def test_a_format_of_the_future_is_refused_by_name(store, monkeypatch):
    path = store.save(1, scalar(1), {}) / "manifest.json"
    with monkeypatch.context() as future:
        future.setattr(manifest, "FORMAT", 2)
        path.write_bytes(manifest.Manifest.parse(path.read_bytes()).render())
    with pytest.raises(CorruptError, match="it has format 2 of a newer advdl") as caught:
        store.restore(scalar(0))
    assert caught.value.hint == "upgrade advdl"


def test_facts_that_json_cannot_hold_are_refused_before_anything_is_written(store):
    with pytest.raises(TypeError):
        store.save(1, scalar(1), {"x": object()})
    assert not store.folder.exists()


def test_folders_and_files_of_other_names_are_left_alone(store):
    store.save(1, scalar(1), {})
    (store.folder / "step-12").mkdir()
    (store.folder / "notes.txt").write_text("mine")
    (store.folder / "step-000000000099").write_text("a file")
    assert store.steps() == [1]
    store.save(2, scalar(2), {})
    assert (store.folder / "notes.txt").exists()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to measure peak memory")
def test_a_big_state_is_not_copied_to_be_saved_and_once_to_be_restored(tmp_path):
    program = [sys.executable, str(Path(__file__).with_name("state_copies.py")), str(tmp_path)]
    saving, restoring = json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout)
    assert saving < 0.3
    assert 0.3 < restoring < 1.3
