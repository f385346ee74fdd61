"""Two workers of one run: what they learn, and what becomes of them when one is killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from advdl.errors import UsageError
from advdl.experiment.launch import launch
from advdl.experiment.workers import is_chief, own_copy, own_root
from advdl.training.cluster import config_of

ADVDL = Path(sys.executable).with_name("advdl")
SETTINGS = {
    "agent.backbone.units": "[8]",
    "agent.epsilon": "{name='constant',value=0.2}",  # nothing depends on how long a run is planned to be
    "optimizer.learning_rate": "0.001",
    "agent.learning_starts": "64",
    "agent.batch_size": "16",
    "agent.train_every": "8",
    "agent.buffer_size": "1000",
    "env.num": "8",
    "trainer.jit": "off",
    "trainer.chunk_seconds": "0.2",
    "checkpoint.every_seconds": "0.2",
    "checkpoint.max_share": "1.0",
    "evaluation.every": "0",
    "evaluation.episodes": "2",
    "log.every": "200",
}
PATIENCE = 600.0
FAR = 1_000_000


def start(folder, *words):
    return subprocess.Popen(
        [ADVDL, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


def train(steps):
    sets = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    return ("agent", "train", "--env", "CartPole", "--agent", "dqn", "--steps", str(steps), "--quiet", *sets)


@contextlib.contextmanager
def ended(process):
    """Leaves no process behind where an assertion fails."""
    try:
        yield process
    finally:
        if process.poll() is None:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            for each in (*map(int, children), process.pid):
                os.kill(each, signal.SIGKILL)
            process.wait()


def run_folder(folder):
    return next((path.parent for path in folder.glob("runs/*/*/*/run.json")), None)


def newest_step(folder):
    run = run_folder(folder)
    steps = sorted(run.glob("checkpoints/step-*/manifest.json")) if run else []
    return int(steps[-1].parent.name.removeprefix("step-")) if steps else 0


def worker_of(launcher, index):
    """Finds a worker's process by the TF_CONFIG that it was given."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    for child in children:
        variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        config = next(value for value in variables if value.startswith(b"TF_CONFIG="))
        if json.loads(config.removeprefix(b"TF_CONFIG="))["task"]["index"] == index:
            return int(child)
    raise AssertionError(children)


def weights(folder):
    from advdl.training.checkpoint import CheckpointStore

    store = CheckpointStore(run_folder(folder) / "checkpoints")
    return store.read(store.steps()[-1], prefix="trainer/")


def wait_for_step(folder, step, launcher):
    until = time.monotonic() + PATIENCE
    while newest_step(folder) < step:
        assert launcher.poll() is None, launcher.communicate()[1][-3000:]
        assert time.monotonic() < until
        time.sleep(0.05)


def kill(index, folder, launcher):
    """Kills a worker of a job that is training, and says what the job then says."""
    wait_for_step(folder, newest_step(folder) + 128, launcher)
    os.kill(worker_of(launcher, index), signal.SIGKILL)
    killed = time.monotonic()
    _, err = launcher.communicate(timeout=PATIENCE)
    assert time.monotonic() - killed < 35.0
    assert launcher.returncode == 1
    assert f"worker {index} was killed by SIGKILL" in err
    assert "is gone, and the others cannot go on without it" in err


def freeze(index, folder, launcher):
    """Stops a worker for longer than TensorFlow's own patience of 10 seconds; the job waits, and goes on."""
    worker = worker_of(launcher, index)
    os.kill(worker, signal.SIGSTOP)
    time.sleep(13.0)
    os.kill(worker, signal.SIGCONT)
    wait_for_step(folder, newest_step(folder) + 16, launcher)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_whichever_worker_is_killed_the_run_goes_on_as_if_nothing_had_been(tmp_path):
    disturbed, left_alone = tmp_path / "disturbed", tmp_path / "left_alone"
    disturbed.mkdir()
    left_alone.mkdir()
    together = ("launch", "--workers", "2", "--")
    with ended(start(disturbed, *together, *train(FAR))) as launcher:
        wait_for_step(disturbed, 64, launcher)
        freeze(1, disturbed, launcher)
        kill(1, disturbed, launcher)
    folder = run_folder(disturbed)
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"
    resuming = (*together, "runs", "resume", str(folder), "--quiet", "--steps")
    with ended(start(disturbed, *resuming, str(FAR))) as launcher:
        kill(0, disturbed, launcher)

    steps = newest_step(disturbed) + 160
    for process in (start(disturbed, *resuming, str(steps)), start(left_alone, *together, *train(steps))):
        with ended(process):
            _, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, err[-3000:]
    ours, theirs = weights(disturbed), weights(left_alone)
    assert newest_step(disturbed) == newest_step(left_alone) == steps
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)
    assert [path.name for path in disturbed.glob("runs/*/*/*")] == [folder.name]


class TestWhatAWorkerWrites:
    def test_the_chief_writes_the_run_and_the_others_a_copy(self, tmp_path):
        (tmp_path / "run" / "checkpoints").mkdir(parents=True)
        (tmp_path / "run" / "run.json").write_text("{}")
        chief, other = ({"TF_CONFIG": config_of(("a:1", "b:1"), index)} for index in range(2))
        assert is_chief({})
        assert is_chief(chief)
        assert own_copy(tmp_path / "run", chief) == tmp_path / "run"
        assert own_root(tmp_path, chief) == tmp_path
        copy = own_copy(tmp_path / "run", other)
        assert copy.name == "run"
        assert (copy / "run.json").read_text() == "{}"
        assert tmp_path not in (*copy.parents, *own_root(tmp_path, other).parents)


def test_only_what_trains_is_launched(tmp_path):
    done = subprocess.run([ADVDL, "launch", "--", "doctor"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "launch runs agent train" in done.stderr


def test_a_command_that_is_wrong_ends_all_workers_with_its_own_code():
    assert launch(["agent", "train", "--env", "NoSuchEnv"], 2, os.environ) == 2


def test_an_unreadable_cluster_is_refused():
    with pytest.raises(UsageError, match=r"^TF_CONFIG cannot be used"):
        is_chief({"TF_CONFIG": "nonsense"})
