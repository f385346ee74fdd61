"""Several devices, and several processes, give what one device gives. TensorFlow's devices are set once a process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from advdl.errors import UsageError
from advdl.experiment.launch import held_ports
from advdl.training.cluster import Cluster, cluster_of, config_of

HARNESS = Path(__file__).with_name("replicas_harness.py")
TOLERANCE = 1e-6
PATIENCE = 1800.0  # nothing is measured here, and the machine may be busy
REAL = ("dqn", "ppo", "classifier", "images", "vae", "gan", "maml")


def start(devices, **environ):
    return subprocess.Popen(
        [sys.executable, str(HARNESS), str(devices)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out)


def judge(differences):
    wrong = {name: value for name, value in differences.items() if "clipped first" in name}
    right = {name: value for name, value in differences.items() if name not in wrong}
    assert wrong
    assert all(value > 1e-4 for value in wrong.values()), wrong
    assert all(value < TOLERANCE for value in right.values()), right


def test_two_and_four_devices_equal_one():
    differences = result(start(4))
    judge(differences)
    for kind in ("Classifier", "FarFromZero", "Values", "Surrogate", "Players", "Adapting", *REAL):
        assert {f"{kind} on 2", f"{kind} on 4"} <= differences.keys()


def test_two_workers_equal_one():
    with held_ports(2) as ports:
        addresses = tuple(f"127.0.0.1:{port}" for port in ports)
        workers = [start(1, TF_CONFIG=config_of(addresses, index)) for index in range(2)]
        try:
            first, second = (result(worker) for worker in workers)
        finally:
            for worker in workers:
                worker.kill()
    judge(first)
    judge(second)
    assert first.keys() == second.keys()
    assert {f"{kind} on 2" for kind in ("Classifier", "FarFromZero", "Values", *REAL)} <= first.keys()


class TestCluster:
    def test_it_is_what_tf_config_says(self):
        cluster = cluster_of({"TF_CONFIG": config_of(("a:1", "b:2", "c:3"), 1)})
        assert cluster == Cluster(("a:1", "b:2", "c:3"), 1)
        assert not cluster.chief
        assert cluster.peers == {0: "a:1", 2: "c:3"}

    @pytest.mark.parametrize("environ", [{}, {"TF_CONFIG": ""}, {"TF_CONFIG": config_of(("a:1",), 0)}])
    def test_one_process_is_no_cluster(self, environ):
        assert cluster_of(environ) is None

    @pytest.mark.parametrize(
        "text",
        ["{", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 5}}'],
    )
    def test_what_cannot_be_read_is_refused(self, text):
        with pytest.raises(UsageError, match=r"^TF_CONFIG cannot be used"):
            cluster_of({"TF_CONFIG": text})
