"""Damage in every form: what is loaded is what was saved, or nothing is."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from checkpoint_scenarios import state, values

from advdl.errors import CorruptError
from advdl.training.checkpoint import CheckpointStore

FILES = ["manifest.json", "meta.json", "state.data-00000-of-00001", "state.index"]
OLD = Path(__file__).parent / "data" / "checkpoint-format-1"


@pytest.fixture
def store(tmp_path):
    store = CheckpointStore(tmp_path)
    for step in (1, 2):
        store.save(step, state(step), {"step": step})
    return store


def outcome(store):
    """Loads the newest step: returns which one, and fails if a value in it is not the one that was saved."""
    live = state(0)
    warnings = []
    step = store.restore(live, warn=warnings.append).step
    for name, value in values(step).items():
        np.testing.assert_array_equal(live[name].numpy(), value, strict=True)
    assert store.meta(step) == {"step": step}
    assert len(warnings) == (step == 1)
    return step


def test_a_flipped_bit_is_always_seen(store):
    rng = np.random.default_rng(0)
    flips = 0
    for name in FILES:
        path = store.path(2) / name
        content = path.read_bytes()
        bits = rng.choice(8 * len(content), min(100, 8 * len(content)), replace=False)
        for bit in map(int, bits):
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << (bit % 8)
            path.write_bytes(flipped)
            assert outcome(store) == 1
        path.write_bytes(content)
        flips += len(bits)
    assert outcome(store) == 2
    assert flips >= 350


def test_a_file_cut_short_or_grown_is_always_seen(store):
    rng = np.random.default_rng(1)
    for name in FILES:
        path = store.path(2) / name
        content = path.read_bytes()
        for length in {0, len(content) - 1, *map(int, rng.integers(0, len(content), 10))}:
            path.write_bytes(content[:length])
            assert outcome(store) == 1
        path.write_bytes(content + b"\0")
        assert outcome(store) == 1
        path.write_bytes(content)


def test_files_of_another_step_are_always_seen(store):
    for count in range(1, len(FILES) + 1):
        for names in itertools.combinations(FILES, count):
            backup = store.folder / "backup"
            shutil.copytree(store.path(2), backup)
            for name in names:
                shutil.copy(store.path(1) / name, store.path(2) / name)
            assert outcome(store) == 1
            shutil.rmtree(store.path(2))
            backup.rename(store.path(2))


def test_files_swapped_within_a_step_or_missing_are_always_seen(store):
    for one, other in itertools.permutations(FILES, 2):
        path = store.path(2) / one
        content = path.read_bytes()
        path.write_bytes((store.path(2) / other).read_bytes())
        assert outcome(store) == 1
        path.unlink()
        assert outcome(store) == 1
        path.mkdir()
        assert outcome(store) == 1
        path.rmdir()
        path.write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"sha256": 1}', b"[" * 100_000, b"\xff\xfe"])
def test_a_manifest_that_is_none(store, content):
    (store.path(2) / "manifest.json").write_bytes(content)
    assert outcome(store) == 1


def test_a_manifest_that_lies_but_is_sealed(store):
    from advdl.training.manifest import Manifest

    path = store.path(2) / "manifest.json"
    true = Manifest.parse(path.read_bytes())
    lies = [
        Manifest(2, true.files, {}),
        Manifest(2, {}, true.tensors),
        Manifest(2, {**true.files, "../../secret": true.files["meta.json"]}, true.tensors),
        Manifest(1, true.files, true.tensors),
    ]
    for lie in lies:
        path.write_bytes(lie.render())
        if lie.tensors:
            assert outcome(store) == 1
    # Tensor by tensor, TensorFlow's own index has the last word.
    name, fact = next(iter(true.tensors.items()))
    other = type(fact)((3, 5), fact.dtype)
    path.write_bytes(Manifest(2, true.files, {**true.tensors, name: other}).render())
    with pytest.raises(CorruptError, match="contradict"):
        store.read(2)


def test_checkpoints_of_format_1_load_for_ever():
    store = CheckpointStore(OLD)
    live = state(0)
    assert store.restore(live).step == 7
    assert store.meta(7) == {"written_by": "0.1.0"}
    for name, value in values(7).items():
        np.testing.assert_array_equal(live[name].numpy(), value, strict=True)
