"""What the fault tests do to a checkpoint folder; run as a script, it is killed at every call in turn."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from faulty_disk import FaultyDisk

from advdl.training.checkpoint import CheckpointStore


def values(step):
    """The state that belongs to a step, and to no other."""
    rng = np.random.default_rng(step)
    return {
        "learner/kernel": rng.normal(size=(5, 3)).astype(np.float32),
        "replay/observation": rng.integers(0, 255, (16, 4), dtype=np.uint8),
        "updates": np.array(step, np.int64),
    }


def state(step):
    return {name: tf.Variable(value) for name, value in values(step).items()}


def replace_the_oldest(folder, disk):
    """Steps 1 and 2 give way to 2 and 3: writing, publishing, pruning and marking the best."""
    store = CheckpointStore(folder, keep_last=1, disk=disk)
    store.save(3, state(3), {"step": 3})
    store.protect(3)


def replace_a_damaged_one(folder, disk):
    """Step 2 is damaged, so saving it again replaces it."""
    CheckpointStore(folder, disk=disk).save(2, state(2), {"step": 2})


SCENARIOS = {run.__name__: run for run in (replace_the_oldest, replace_a_damaged_one)}


def prepare(folder, scenario):
    """Makes the folder that a scenario starts from."""
    store = CheckpointStore(folder)
    for step in (1, 2):
        store.save(step, state(step), {"step": step})
    store.protect(2)
    stale = folder / ".tmp-step-000000000009"
    stale.mkdir()
    (stale / "state.index").write_bytes(b"left over by a crash")
    if scenario == "replace_a_damaged_one":
        index = store.path(2) / "state.index"
        index.write_bytes(index.read_bytes()[::-1])


def kill_at(folder, scenario, at, torn):
    """Runs a scenario in a child that dies at its call number ``at``; returns the child's exit code."""
    # The child builds TensorFlow's runtime itself: forking is safe only as long as the parent has none.
    child = os.fork()
    if child == 0:
        SCENARIOS[scenario](folder, FaultyDisk(at, "SIGKILL", torn))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for number, (name, at, torn) in enumerate(json.loads(sys.argv[2])):
        shutil.copytree(root / name, root / str(number))
        print(kill_at(root / str(number), name, at, torn), flush=True)
