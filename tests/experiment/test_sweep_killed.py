"""A real sweep is killed in the middle: no finished trial is lost, and the other goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from advdl.experiment.run_folder import RunFolder

ADVDL = Path(sys.executable).with_name("advdl")
SETTINGS = {
    "trainer.jit": "off",
    "checkpoint.every_seconds": "0.1",
    "checkpoint.max_share": "1",
    "evaluation.every": "1500",
    "evaluation.stop_at": "0.7",
    "trainer.chunk_seconds": "0.1",
}
RATES = ("0.003", "1e-12")  # one learns; the other does not, and is pruned when it is first evaluated
TRAIN = ["model", "train", "classifier", "--data", "digits", "--backbone", "mlp", "--steps", "100000"]
PATIENCE = 400.0


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts ``advdl sweep``; what is left at the end is killed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ADVDL_")}
    processes: list[subprocess.Popen[str]] = []

    def run(*words: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [ADVDL, "sweep", *words],
            cwd=tmp_path,
            env={**environ, "ADVDL_XLA_CACHE": str(tmp_path / "xla"), "CUDA_VISIBLE_DEVICES": "-1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(happened: Callable[[], Any], process: "subprocess.Popen[str] | None" = None) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)
    return found


def run_of(folder: Path, trial: int) -> RunFolder | None:
    for path in folder.glob("runs/digits/classifier/[!.]*"):
        if f"trial={trial}" in RunFolder(path).record().tags:
            return RunFolder(path)
    return None


def begun(folder: Path, trial: int) -> RunFolder | None:
    """Returns a trial's run once it has a checkpoint that is not its first."""
    run = run_of(folder, trial)
    steps = [] if run is None else [int(path.name.removeprefix("step-")) for path in run.checkpoints.glob("step-*")]
    return run if max(steps, default=0) > 0 else None


def test_a_sweep_that_is_killed_goes_on(start: Start, tmp_path: Path) -> None:
    sets = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    search = f"optimizer.learning_rate=choice:{','.join(RATES)}"
    words = ["run", "--name", "s", "--search", search, "--sampler", "grid", "--pruner", "halving"]
    words += ["--group", "rates", "--tag", "mine"]
    process = start(*words, "--", *TRAIN, *sets)
    interrupted = wait_for(lambda: begun(tmp_path, 1), process)
    process.kill()
    process.communicate()
    finished = run_of(tmp_path, 0)
    assert finished is not None
    assert finished.record().status == "done"
    assert finished.record().group == "rates"
    assert {"mine", "sweep=s", "trial=0"} <= set(finished.record().tags)
    # The trial has noticed that nobody waits for it, and has saved a checkpoint.
    wait_for(lambda: interrupted.record().status == "interrupted")
    assert interrupted.record().error.startswith("stopped by SIGTERM")
    assert interrupted.read_evaluations() == []

    process = start("run", "--name", "s", "--json")
    output, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    data = json.loads(output)
    assert data["finished"] == 2
    assert [trial["state"] for trial in data["trials"]] == ["done", "interrupted", "pruned"]
    first, _, second = data["trials"]
    assert first["value"] == finished.read_evaluations()[-1]["score"] >= 0.7
    assert [trial["params"]["optimizer.learning_rate"] for trial in (first, second)] == [0.003, 1e-12]
    # It went on in the same run, from its checkpoint, and was stopped after its first evaluation, with another one.
    assert second["run"] == str(interrupted.path.relative_to(tmp_path))
    record = interrupted.record()
    assert (record.status, record.steps) == ("interrupted", 100_000)
    assert 1500 <= record.step < 100_000
    assert interrupted.read_evaluations()[0]["kind"] == "during"
    rows = [path.parent.name for path in (tmp_path / "runs/sweeps/s/trials").glob("*/events.out.tfevents.*")]
    assert sorted(rows) == ["0000", "0002"]


def test_a_stop_stops_the_trials_too(start: Start, tmp_path: Path) -> None:
    sets = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    search = "optimizer.learning_rate=log:1e-12:1e-11"
    process = start("run", "--name", "s", "--search", search, "--trials", "2", "--", *TRAIN, *sets)
    run = wait_for(lambda: begun(tmp_path, 0), process)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert "error: stopped by SIGTERM with 0 trials finished; the others go on from their checkpoints" in said
    assert "hint: advdl sweep run --name s" in said
    assert "Traceback" not in said
    assert run.record().status == "interrupted"
