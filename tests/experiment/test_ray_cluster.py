"""A real cluster, ``ray start --head`` on this machine: runs and sweeps join it and leave it as it was."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from advdl.experiment.launch import held_ports
from advdl.experiment.run_folder import RunFolder

ADVDL = Path(sys.executable).with_name("advdl")
CPUS = 3  # more than a test machine has, so that what fits can only be the cluster
PATIENCE = 1800.0  # nothing is measured here
SMALL_RUN = {
    "engine": "host",
    "env.num": "4",
    "agent.horizon": "8",
    "agent.batch_size": "16",
    "agent.epochs": "1",
    "agent.backbone.units": "[8]",
    "trainer.jit": "off",
    "evaluation.every": "0",
    "evaluation.episodes": "1",
}
SWEEP = {
    "trainer.jit": "off",
    "checkpoint.every_seconds": "0.1",
    "checkpoint.max_share": "0.2",
    "evaluation.every": "1500",
    "trainer.chunk_seconds": "0.1",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """Gives the environment of a program that joins the cluster."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ADVDL_", "RAY_"))}
    environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    # A socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder, held_ports(1) as (port,):
        words = ["--head", "--block", f"--port={port}", "--include-dashboard=false", f"--num-cpus={CPUS}"]
        with Path(folder, "said").open("w") as said:
            head = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *words, f"--temp-dir={folder}/t"],
                env=environ,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        try:
            # Ray makes the machine's own address of 127.0.0.1, so it is asked which one that is.
            address = wait_for(lambda: re.search(r"--address='([^']+)'", Path(folder, "said").read_text()), head)
            yield {**environ, "RAY_ADDRESS": address[1]}
        finally:
            head.send_signal(signal.SIGTERM)
            head.wait(60)


def wait_for(happened: Callable[[], Any], process: "subprocess.Popen[Any]") -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)
    return found


def start(folder: Path, environ: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [ADVDL, *words], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def sets(settings: dict[str, str]) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def trained(folder: Path, environ: dict[str, str], runners: int) -> "tuple[int, str]":
    words = ["agent", "train", "--env", "CartPole", "--agent", "ppo", "--steps", "64", "--quiet", "--json"]
    process = start(folder, environ, *words, "--runners", f"ray:{runners}", *sets(SMALL_RUN))
    output, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said if process.returncode else output


def test_runners_join_it(cluster: dict[str, str], tmp_path: Path) -> None:
    code, output = trained(tmp_path, cluster, CPUS)
    assert code == 0, output
    assert json.loads(output)["step"] == 64
    # It is still there for the next one, with as much room and no more.
    code, said = trained(tmp_path, cluster, CPUS + 1)
    assert code == 2
    assert f"{CPUS + 1} runners need as many CPUs; Ray has {CPUS}" in said


def test_a_sweep_on_it_is_killed_and_goes_on(cluster: dict[str, str], tmp_path: Path) -> None:
    train = ["model", "train", "classifier", "--data", "digits", "--backbone", "mlp", "--steps", "3000"]
    search = ["--search", "optimizer.learning_rate=choice:0.003,0.002,0.001", "--sampler", "grid"]
    on = ["--on", "ray", "--jobs", str(CPUS)]
    process = start(tmp_path, cluster, "sweep", "run", "--name", "s", *search, *on, "--", *train, *sets(SWEEP))

    def begun() -> list[Path]:
        runs = list(tmp_path.glob("runs/digits/classifier/[!.]*"))
        return [run for run in runs if any(run.glob("checkpoints/step-*[1-9]*/manifest.json"))]

    wait_for(lambda: len(begun()) == CPUS, process)
    process.kill()
    process.communicate()
    process = start(tmp_path, cluster, "sweep", "run", "--name", "s", *on, "--json")
    output, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    data = json.loads(output)
    done = [trial for trial in data["trials"] if trial["state"] == "done"]
    assert data["finished"] == len(done) == CPUS
    assert {trial["params"]["optimizer.learning_rate"] for trial in done} == {0.003, 0.002, 0.001}
    # Each went on in its own run: none was begun anew, and none was lost.
    runs = [RunFolder(path) for path in begun()]
    assert len(runs) == CPUS
    assert {(run.record().status, run.record().step) for run in runs} == {("done", 3000)}
