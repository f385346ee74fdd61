import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from advdl.errors import CorruptError, RunError, UsageError
from advdl.experiment.config import Experiment
from advdl.experiment.find_runs import find_runs, runs_root
from advdl.experiment.run_folder import RunFolder
from advdl.plugin.host import PluginHost

Make = Callable[..., RunFolder]


@pytest.fixture
def make(resolve: Callable[..., Experiment], tmp_path: Path) -> Make:
    def run(env: str = "CartPole-v1", *, seed: int = 0) -> RunFolder:
        experiment = resolve(f"seed={seed}")
        return RunFolder.create(tmp_path / "runs", env, "dqn", experiment, ["advdl", "agent", "train"])

    return run


class TestCreate:
    def test_what_is_there(self, make: Make, tmp_path: Path) -> None:
        run = make("ALE/Pong-v5", seed=12)
        assert run.path.parent == tmp_path / "runs" / "ALE_Pong-v5" / "dqn"
        assert "-s12-" in run.id
        record = run.record()
        assert (record.id, record.env, record.agent, record.status) == (
            run.id,
            "ALE/Pong-v5",
            "dqn",
            "created",
        )
        assert (record.seed, record.steps, record.command) == (12, 7, ["advdl", "agent", "train"])
        assert record.versions["advdl"]
        assert record.versions["python"] == ".".join(map(str, sys.version_info[:3]))
        assert record.machine["cores"] >= 1
        assert sorted(path.name for path in run.path.iterdir()) == ["experiment.toml", "run.json"]

    def test_ids_are_unique_and_sorted_by_time(self, make: Make) -> None:
        first = make()
        others = [make().id for _ in range(20)]
        assert len({first.id, *others}) == 21
        time.sleep(1.01)
        assert make().id > first.id

    def test_a_name_cannot_leave_the_folder(self, make: Make, tmp_path: Path) -> None:
        run = make("../../x")
        assert run.path.resolve().is_relative_to((tmp_path / "runs").resolve())

    def test_somewhere_that_cannot_be_written(self, resolve: Callable[..., Experiment], tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        for root in (tmp_path / "file", Path("/proc/runs")):
            with pytest.raises(UsageError, match=f"a run cannot be written to {root}: ") as caught:
                RunFolder.create(root, "a", "b", resolve(), [])
            assert "--runs-dir" in caught.value.hint


class TestStatus:
    def test_times(self, make: Make) -> None:
        run = make()
        with run.lock():
            run.write_status("running", step=5)
            assert run.status() == "running"
            started = run.record().started
            assert started
            run.write_status("failed", error="the env raised")
        record = run.record()
        assert (record.status, record.error, record.step) == ("failed", "the env raised", 5)
        assert record.started == started
        assert record.ended is not None
        assert record.ended > started
        with run.lock():
            run.write_status("running")
            assert (run.record().started, run.record().ended, run.record().error) == (started, None, "")

    def test_running_without_a_writer_is_interrupted(self, make: Make) -> None:
        run = make()
        run.write_status("running")
        assert run.status() == "interrupted"

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b"{}", b"\xff", b'{"format": 1, "status": "odd"}', b"[" * 100_000],
    )
    def test_damaged(self, make: Make, content: bytes) -> None:
        run = make()
        (run.path / "run.json").write_bytes(content)
        with pytest.raises(CorruptError, match=r"run\.json"):
            run.record()

    def test_a_later_format(self, make: Make) -> None:
        run = make()
        data = json.loads((run.path / "run.json").read_text())
        (run.path / "run.json").write_text(json.dumps({**data, "format": 2}))
        with pytest.raises(CorruptError, match="later advdl"):
            run.record()

    def test_killed_while_writing(self, make: Make) -> None:
        """SIGKILL at any moment leaves a record that can be read, the old or the new."""
        run = make()
        code = (
            "import sys; from pathlib import Path; from advdl.experiment.run_folder import RunFolder\n"
            "run = RunFolder(Path(sys.argv[1])); step = run.record().step; print('go', flush=True)\n"
            "while True:\n"
            "    step += 1; run.write_status('running', step=step); run.append_metrics(step, {'x': step})"
        )
        reached = 0
        for number in range(8):
            process = subprocess.Popen([sys.executable, "-c", code, str(run.path)], stdout=subprocess.PIPE)
            assert process.stdout is not None
            assert process.stdout.readline() == b"go\n"
            time.sleep(0.02 + 0.011 * number)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            step = run.record().step
            assert step > reached
            run.truncate_metrics(step)
            steps = [line["step"] for line in run.read_metrics()]
            assert steps in (list(range(1, step + 1)), list(range(1, step)))
            if len(steps) < step:
                run.append_metrics(step, {"x": step})
            reached = step


class TestExperiment:
    def test_read_again(self, make: Make, toy_host: PluginHost) -> None:
        run = make(seed=4)
        assert run.experiment(toy_host).get("seed") == 4
        assert run.config()["seed"] == 4

    def test_changed_by_hand(self, make: Make, toy_host: PluginHost) -> None:
        run = make()
        text = run.experiment_file.read_text()
        run.experiment_file.write_text(text.replace("gamma = 0.7", "gamma = 0.6"))  # valid, but another run
        with pytest.raises(CorruptError, match="was changed after the run wrote it"):
            run.experiment(toy_host)
        run.experiment_file.unlink()
        with pytest.raises(CorruptError, match="cannot be read"):
            run.config()

    def test_replaced(self, make: Make, toy_host: PluginHost) -> None:
        run = make()
        run.replace_experiment(run.experiment(toy_host).with_steps(99))
        assert run.experiment(toy_host).get("steps") == 99
        assert run.record().steps == 99
        assert len(run.record().experiment_sha256) == 1


class TestJournals:
    def test_metrics(self, make: Make) -> None:
        run = make()
        assert run.read_metrics() == []
        run.append_metrics(np.int64(1), {"loss": np.float32(0.5), "count": 3})
        run.append_metrics(2, {"loss": math.nan, "other": math.inf})
        text = (run.path / "metrics.jsonl").read_text()
        assert text.splitlines()[1] == '{"loss": null, "other": null, "step": 2}'
        first, second = run.read_metrics()
        assert first == {"loss": 0.5, "count": 3, "step": 1}
        assert math.isnan(second["loss"])

    @pytest.mark.parametrize("torn", [b'{"step": 4, "lo', b'{"step"', b"\x80"])
    def test_a_torn_last_line(self, make: Make, torn: bytes) -> None:
        run = make()
        for step in (1, 2, 3):
            run.append_metrics(step, {"loss": step})
        whole = (run.path / "metrics.jsonl").read_bytes()
        (run.path / "metrics.jsonl").write_bytes(whole + torn)
        assert [line["step"] for line in run.read_metrics()] == [1, 2, 3]
        run.truncate_metrics(3)
        assert (run.path / "metrics.jsonl").read_bytes() == whole
        run.truncate_metrics(2)
        run.append_metrics(3, {"loss": 3})
        assert (run.path / "metrics.jsonl").read_bytes() == whole

    def test_damage_in_the_middle_is_said(self, make: Make) -> None:
        run = make()
        (run.path / "metrics.jsonl").write_bytes(b'{"step": 1}\n{"step"\n{"step": 3}\n')
        with pytest.raises(CorruptError, match=r"metrics.jsonl is damaged at line 2"):
            run.read_metrics()

    def test_truncating_nothing(self, make: Make) -> None:
        run = make()
        run.truncate_metrics(5)
        run.truncate_evaluations(5)
        assert not (run.path / "metrics.jsonl").exists()

    def test_a_full_disk(self, make: Make) -> None:
        run = make()
        (run.path / "metrics.jsonl").symlink_to("/dev/full")
        with pytest.raises(RunError, match=r"metrics\.jsonl cannot be written: No space left"):
            run.append_metrics(1, {})

    def test_evaluations(self, make: Make) -> None:
        run = make()
        assert run.last_evaluation() is None
        for step, kind in ((1, "during"), (2, "final"), (3, "during")):
            run.append_evaluation(step, {"kind": kind, "returns": [1.0, math.nan], "return/mean": step})
        last = run.last_evaluation()
        assert last is not None
        assert (last["step"], last["returns"][0]) == (2, 1.0)
        assert math.isnan(last["returns"][1])
        run.truncate_evaluations(1)
        assert [line["step"] for line in run.read_evaluations()] == [1]


class TestOpen:
    def test_by_folder_id_prefix_and_latest(self, make: Make, tmp_path: Path) -> None:
        root = tmp_path / "runs"
        make(seed=1)
        run = make(seed=2)
        for ref in (run.path, str(run.path), f"{run.path}/", run.id, run.id[:-1], "latest"):
            assert RunFolder.open(ref, root).path.resolve() == run.path.resolve()

    def test_latest_passes_over_damaged_ones(self, make: Make, tmp_path: Path) -> None:
        run, broken = make(), make()
        (broken.path / "run.json").write_text("{")
        assert RunFolder.open("latest", tmp_path / "runs").id == run.id

    def test_wrong(self, make: Make, tmp_path: Path) -> None:
        root = tmp_path / "runs"
        with pytest.raises(UsageError, match="there are no runs in"):
            RunFolder.open("latest", root)
        first = make()
        make()
        with pytest.raises(UsageError, match="begins the ids of 2 runs") as caught:
            RunFolder.open(first.id[:4], root)
        assert first.id in caught.value.hint
        with pytest.raises(UsageError, match=r"it has no run\.json") as caught:
            RunFolder.open(tmp_path, root)
        assert "advdl runs list" in caught.value.hint
        with pytest.raises(UsageError, match="there is no run 'nothing'") as caught:
            RunFolder.open("nothing", root)
        assert "advdl runs list" in caught.value.hint
        with pytest.raises(UsageError, match="there is no run ''"):
            RunFolder.open("", root)
        misspelt = f"{first.id[:-1]}z"
        with pytest.raises(UsageError) as caught:
            RunFolder.open(misspelt, root)
        assert "did you mean 20" in caught.value.hint


class TestFind:
    def test_newest_first_with_damaged_ones(self, make: Make, tmp_path: Path) -> None:
        runs = [make(), make("Taxi-v3"), make()]
        (runs[1].path / "run.json").unlink()
        (tmp_path / "runs" / "CartPole-v1" / "dqn" / ".x.new").mkdir()
        (tmp_path / "runs" / "CartPole-v1" / "dqn" / "notes").mkdir()
        (tmp_path / "runs" / "notes.txt").write_text("")
        found = find_runs(tmp_path / "runs")
        readable = [run.folder.id for run in found if run.record]
        assert readable == [runs[2].id, runs[0].id]
        damaged = [(run.folder.id, run.status) for run in found if not run.record]
        assert damaged == [(runs[1].id, "damaged")]

    def test_no_folder_is_no_runs(self, tmp_path: Path) -> None:
        assert find_runs(tmp_path / "none") == []
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match="is not a folder of runs"):
            find_runs(tmp_path / "file")

    def test_root(self, tmp_path: Path) -> None:
        assert runs_root(tmp_path, {"ADVDL_RUNS": "x"}) == tmp_path
        assert runs_root(None, {"ADVDL_RUNS": "x"}) == Path("x")
        assert runs_root(None, {"ADVDL_RUNS": ""}) == Path("runs")
