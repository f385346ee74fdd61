"""Checkpoints without TensorFlow: arrays in one file, with the same promises as TensorFlow's."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from advdl.errors import CorruptError, RunError
from advdl.training.array_file import ArrayFile
from advdl.training.checkpoint import CheckpointStore
from advdl.training.disk import Disk

ARRAYS = {
    "learner/kernel": np.array([[1e-45, np.nextafter(np.float32(1), np.float32(2))]], np.float32),
    "learner/nan": np.array([np.nan, -0.0, np.inf]),
    "replay/observation": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "replay/done": np.array([True, False]),
    "count": np.array(-(2**63), np.int64),
    "words": np.array([2**64 - 1], np.uint64),
    "empty": np.zeros((0, 3), np.float16),
}


def store(folder, disk=None):
    return CheckpointStore(folder, disk=disk, tensor_format=ArrayFile())


def bits(arrays):
    return {name: (array.shape, array.dtype.str, array.tobytes()) for name, array in arrays.items()}


def test_every_array_comes_back_bit_for_bit_with_the_facts(tmp_path):
    store(tmp_path).save(3, ARRAYS, {"counters": {"steps": 2**70}})
    loaded = CheckpointStore(tmp_path).load()
    assert loaded.step == 3
    assert loaded.meta == {"counters": {"steps": 2**70}}
    assert bits(loaded.arrays) == bits(ARRAYS)
    assert sorted(path.name for path in store(tmp_path).path(3).iterdir()) == [
        "manifest.json",
        "meta.json",
        "state.npz",
    ]


def test_a_prefix_reads_no_more_than_it_names(tmp_path):
    store(tmp_path).save(3, ARRAYS, {})
    assert set(store(tmp_path).load(prefix="learner/").arrays) == {"learner/kernel", "learner/nan"}


def test_arrays_are_filled_in_place(tmp_path):
    store(tmp_path).save(3, ARRAYS, {})
    live = {name: np.zeros_like(array) for name, array in ARRAYS.items()}
    store(tmp_path).restore(live)
    assert bits(live) == bits(ARRAYS)


def test_objects_are_refused_before_a_step_is_there(tmp_path):
    with pytest.raises(TypeError, match="'learner/thing' is an array of object"):
        store(tmp_path).save(1, {"learner/thing": np.array([print], object)}, {})
    assert store(tmp_path).steps() == []


def test_a_flipped_bit_or_a_cut_file_is_always_seen_and_the_step_before_is_used(tmp_path):
    checkpoints = store(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, ARRAYS, {})
    file = checkpoints.path(2) / "state.npz"
    sound = file.read_bytes()
    generator = np.random.default_rng(0)
    for place in [*generator.integers(0, len(sound), 60), -1]:
        damaged = bytearray(sound)
        damaged[place] ^= 1 << int(generator.integers(8))
        file.write_bytes(damaged if place >= 0 else sound[: len(sound) // 2])
        warnings = []
        assert checkpoints.load(warn=warnings.append).step == 1
        assert len(warnings) == 1
        with pytest.raises(CorruptError):
            checkpoints.load(2)
    file.write_bytes(sound)
    assert checkpoints.load().step == 2


class FullDisk(Disk):
    def save_arrays(self, path, arrays):
        super().save_arrays(path, arrays)
        os.truncate(path, path.stat().st_size // 2)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class LyingDisk(Disk):
    def save_arrays(self, path, arrays):
        super().save_arrays(path, arrays)
        os.truncate(path, 10)


@pytest.mark.parametrize("disk", [FullDisk, LyingDisk])
def test_a_full_disk_costs_no_step_that_was_there(tmp_path, disk):
    store(tmp_path).save(1, ARRAYS, {})
    with pytest.raises(RunError, match="no space left on the device; the previous one, step 1, is intact"):
        store(tmp_path, disk()).save(2, ARRAYS, {})
    assert bits(store(tmp_path).load().arrays) == bits(ARRAYS)
    assert store(tmp_path).steps() == [1]


def test_a_process_without_tensorflow_writes_and_reads(tmp_path):
    program = (
        "import sys; sys.modules['tensorflow'] = None; sys.modules['keras'] = None\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from advdl.training.array_file import ArrayFile\n"
        "from advdl.training.checkpoint import CheckpointStore\n"
        "import advdl.rl.own_loop, advdl.rl.evaluation, advdl.rl.watch\n"
        "store = CheckpointStore(Path(sys.argv[1]), tensor_format=ArrayFile())\n"
        "store.save(1, {'learner/x': np.arange(3)}, {})\n"
        "store.protect(1)\n"
        "assert store.load().arrays['learner/x'].tolist() == [0, 1, 2]\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
