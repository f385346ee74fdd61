import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from advdl.cli.app import main
from advdl.errors import ExitCode
from advdl.plugin import RunInfo

# Importing TensorFlow would fail.
SERVE = """
import sys
sys.modules["tensorflow"] = None
from advdl.cli.app import main
sys.exit(main(["tensorboard", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory):
    from advdl_tensorboard.tracker import TensorBoardTracker

    root = tmp_path_factory.mktemp("runs")
    folder = root / "CartPole-v1" / "dqn" / "one"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    tracker = TensorBoardTracker(histograms=True)
    tracker.advdl_run_started(RunInfo(folder, "one", {"agent": {"name": "dqn", "gamma": 0.9}}))
    for step in (1000, 2000, 3000):
        tracker.advdl_metrics(step, {"loss/q": 1.0 / step})
        tracker.advdl_histograms(step, {"w": np.array([1.0, 2.0])})
        tracker.advdl_evaluated(step, {"return/mean": step / 10, "return/low": 1.0, "return/high": 2.0})
    tracker.advdl_checkpoint_saved(2000, folder)
    tracker._events.close()
    tracker = TensorBoardTracker()
    tracker.advdl_run_started(RunInfo(folder, "one", {}, resumed_from=2000))
    for step in (3000, 4000):
        tracker.advdl_metrics(step, {"loss/q": 1.0 / step})
        tracker.advdl_evaluated(step, {"return/mean": step / 10, "return/low": 1.0, "return/high": 2.0})
    tracker.advdl_run_finished("done")
    return root


class Server:
    """The real command in a process of its own."""

    def __init__(self, *arguments, log: Path):
        self.log = log.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "ADVDL_RUNS"},
        )
        self.answer = self.process.stdout.readline()
        while "--json" in arguments and not self.answer.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, "the server ended"
            self.answer += line

    def get(self, path, data=None):
        headers = {"Content-Type": "application/json"}
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.url + path, body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    @property
    def url(self):
        return json.loads(self.answer)["url"] if self.answer.startswith("{") else self.answer.strip()

    def wait_for_runs(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.get("data/plugin/scalars/tags"):
                return
            time.sleep(0.1)
        raise AssertionError("the server shows no runs")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


@pytest.fixture(scope="module")
def server(runs_dir, tmp_path_factory):
    server = Server("--runs-dir", runs_dir, "--json", log=tmp_path_factory.mktemp("log") / "stderr")
    server.wait_for_runs()
    yield server
    server.close()


RUN = "run=CartPole-v1%2Fdqn%2Fone"


def test_it_serves_on_loopback_and_says_where(server, runs_dir):
    answer = json.loads(server.answer)
    assert answer["url"].startswith("http://127.0.0.1:")
    assert answer["folder"] == str(runs_dir)
    port = int(answer["url"].rstrip("/").rpartition(":")[2])
    # A server on all addresses would answer on this one too.
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.2", port))


def test_scalars_of_a_resumed_run_are_shown_once(server):
    events = server.get(f"data/plugin/scalars/scalars?{RUN}&tag=eval%2Freturn_mean")
    assert [(step, value) for _, step, value in events] == [
        (1000, 100.0),
        (2000, 200.0),
        (3000, 300.0),
        (4000, 400.0),
    ]


def test_every_dashboard_answers(server):
    (text,) = server.get(f"data/plugin/text/text?{RUN}&tag=experiment")
    assert "agent.gamma" in text["text"]
    histograms = server.get(f"data/plugin/histograms/histograms?{RUN}&tag=variables%2Fw")
    assert histograms[0][1] == 1000
    assert sum(count for _, _, count in histograms[0][2]) == 2
    layout = server.get("data/plugin/custom_scalars/layout")
    assert layout["category"][0]["chart"][0]["margin"]["series"][0]["value"] == "eval/return_mean"
    found = server.get("data/plugin/hparams/experiment", {"experimentName": "", "includeMetrics": True})
    assert {"agent.name", "agent.gamma"} == {info["name"] for info in found["hparamInfos"]}
    assert "eval/return_mean" in {info["name"]["tag"] for info in found["metricInfos"]}
    enabled = {name for name, plugin in server.get("data/plugins_listing").items() if plugin["enabled"]}
    assert {"scalars", "custom_scalars", "text", "histograms", "hparams"} <= enabled


def test_one_run_on_another_port_until_ctrl_c(server, runs_dir, tmp_path):
    second = Server("one", "--runs-dir", runs_dir, log=tmp_path / "stderr")
    try:
        assert second.url.startswith("http://127.0.0.1:")
        assert second.url != server.url
        second.wait_for_runs()
        assert second.get("data/runs") == ["."]
        assert second.interrupt() == ExitCode.INTERRUPTED
        assert (tmp_path / "stderr").read_text().count("\n") == 1
    finally:
        second.close()


def test_a_taken_port_is_refused_in_a_sentence(runs_dir, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["tensorboard", "--runs-dir", str(runs_dir), "--port", port]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: port {port} cannot be used: Address already in use\n")


@pytest.mark.parametrize("missing", [False, True])
def test_a_folder_without_curves_is_refused_in_a_sentence(tmp_path, capsys, missing):
    folder = tmp_path / "missing" if missing else tmp_path
    assert main(["tensorboard", "--runs-dir", str(folder)]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: there are no curves to show in '{folder}'\nhint: advdl agent train")


def test_a_run_that_is_not_there_is_refused_with_the_nearest(runs_dir, capsys):
    assert main(["tensorboard", "onee", "--runs-dir", str(runs_dir)]) == ExitCode.USAGE
    assert "did you mean one?" in capsys.readouterr().err
