"""Agents with their own loop in our run folder: metrics, evaluations, checkpoints, a signal, and resume."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    script = Path(__file__).with_name("runs_on_torch.py")
    process = subprocess.run([sys.executable, "-W", "ignore", str(script), str(folder)], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads((folder / "report.json").read_text())


def test_a_stopped_and_resumed_run_equals_one_that_never_stopped(report):
    assert report["stopped_at"].startswith("stopped by SIGINT at step 2")
    assert report["status"] == ["interrupted", "done"]
    assert report["unequal"] == []
    for both in (report["names"], report["facts"], report["metrics"], report["evaluations"]):
        assert both[0] == both[1]


def test_metrics_and_evaluations_are_there(report):
    metrics, evaluations = report["metrics"][0], report["evaluations"][0]
    assert [line["step"] // 50 for line in metrics] == list(range(1, 9))
    assert {"train/loss", "rollout/return", "rollout/length", "rollout/exploration_rate"} <= set().union(*metrics)
    assert [(line["kind"], line["step"]) for line in evaluations] == [("during", 200), ("during", 400), ("final", 400)]
    assert report["events"] >= 1


def test_a_checkpoint_gives_the_policy_back(report):
    step, resumed, straight = report["policy"]
    assert step == 400
    assert resumed == straight


def test_neither_keras_nor_tensorflow_is_imported_without_a_backbone(report):
    assert report["loaded"] == ["torch"]


def test_the_run_says_what_it_was_made_with(report):
    assert {"torch", "stable-baselines3"} <= set(report["versions"])
