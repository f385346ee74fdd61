"""Every call that a save makes to the file system is made to fail: a good checkpoint always loads."""

import json
import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from checkpoint_scenarios import SCENARIOS, prepare, state, values
from faulty_disk import FaultyDisk

from advdl.errors import RunError
from advdl.training.checkpoint import CheckpointStore

SCRIPT = Path(__file__).with_name("checkpoint_scenarios.py")
REASONS = {"EIO": "input/output error", "ENOSPC": "no space left on the device"}
NEWEST = {"replace_the_oldest": 3, "replace_a_damaged_one": 2}
OLDEST = {"replace_the_oldest": 2, "replace_a_damaged_one": 1}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """For each scenario: the folder that it starts from, and the calls that it makes."""
    root = tmp_path_factory.mktemp("prepared")
    calls = {}
    for name, run in SCENARIOS.items():
        prepare(root / name, name)
        trial = root / f"{name}-trial"
        shutil.copytree(root / name, trial)
        disk = FaultyDisk()
        run(trial, disk)
        calls[name] = disk.calls
    return root, calls


def points(calls):
    for at, name in enumerate(calls, start=1):
        yield at, False
        if name in ("write_bytes", "save_tensors"):
            yield at, True


def assert_old_or_new_loads(folder, scenario):
    store = CheckpointStore(folder)
    live = state(0)
    warnings = []
    restored = store.restore(live, warn=warnings.append)
    assert OLDEST[scenario] <= restored.step <= NEWEST[scenario]
    assert restored.meta == {"step": restored.step}
    for name, value in values(restored.step).items():
        np.testing.assert_array_equal(live[name].numpy(), value, strict=True)
    assert bool(warnings) <= (scenario == "replace_a_damaged_one")
    assert store.best() in (None, 2, 3)
    store.save(9, state(9), {"step": 9})
    assert store.steps()[-1] == 9
    assert not list(folder.glob(".tmp-*"))


def test_a_save_has_many_points_of_failure(prepared):
    _, calls = prepared
    assert len(calls["replace_the_oldest"]) >= 25
    assert len(calls["replace_a_damaged_one"]) >= 20


@pytest.mark.parametrize("torn", [False, True], ids=["before", "torn"])
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_error_at_any_call(scenario, fault, torn, prepared, tmp_path):
    root, calls = prepared
    # A hash that cannot be read while looking for step 2 is damage, and mended; other errors end the save.
    looking = len(list(takewhile(lambda name: name == "sha256", calls[scenario])))
    for at in range(1, len(calls[scenario]) + 1):
        folder = tmp_path / str(at)
        shutil.copytree(root / scenario, folder)
        disk = FaultyDisk(at, fault, torn)
        with nullcontext() if at <= looking else pytest.raises(RunError, match=REASONS[fault]):
            SCENARIOS[scenario](folder, disk)
        assert len(disk.calls) >= at
        assert_old_or_new_loads(folder, scenario)


def test_sigkill_at_any_call(prepared, tmp_path):
    root, calls = prepared
    for name in SCENARIOS:
        shutil.copytree(root / name, tmp_path / name)
    plan = [(name, at, torn) for name in SCENARIOS for at, torn in points(calls[name])]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), json.dumps(plan)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.split() == ["-9"] * len(plan)
    for number, (name, _, _) in enumerate(plan):
        assert_old_or_new_loads(tmp_path / str(number), name)


@contextmanager
def files_limited_to(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_the_system_refuses_to_let_grow(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    store.save(1, {"x": tf.Variable(1.0)}, {})
    big = {"x": tf.Variable(tf.ones([100_000]))}
    with files_limited_to(65_536), pytest.raises(RunError) as caught:
        store.save(2, big, {})
    assert caught.value.message == (
        f"cannot save the checkpoint of step 2 in {store.folder}: file too large; the previous one, step 1, is intact"
    )
    assert [path.name for path in store.folder.iterdir()] == ["step-000000000001"]
    assert store.restore({"x": tf.Variable(0.0)}).step == 1


def test_a_full_disk(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", tmp_path], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk to fill it")
    try:
        store = CheckpointStore(tmp_path / "checkpoints")
        store.save(1, {"x": tf.Variable(1.0)}, {})
        with pytest.raises(RunError) as caught:
            store.save(2, {"x": tf.Variable(tf.ones([100_000]))}, {})
        assert "no space left on the device; the previous one, step 1, is intact" in caught.value.message
        assert "advdl runs resume" in caught.value.hint
        assert [path.name for path in store.folder.iterdir()] == ["step-000000000001"]
        store.save(3, {"x": tf.Variable(3.0)}, {})
        assert store.restore({"x": tf.Variable(0.0)}).step == 3
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_first_save_that_fails_says_so(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", disk=FaultyDisk(5, "ENOSPC"))
    with pytest.raises(RunError, match="no space left on the device; there is none before it"):
        store.save(1, state(1), {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="permission denied"):
        CheckpointStore(tmp_path / "checkpoints").save(1, state(1), {})
