import io
import math
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as PluginAccumulator,
)
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.util.tensor_util import make_ndarray

from advdl.plugin import RunInfo
from advdl.plugin.run_hooks import RunDispatcher
from advdl_tensorboard.tracker import TensorBoardTracker

EXPERIMENT = {
    "seed": 3,
    "env": {"id": "CartPole-v1", "options": {}},
    "agent": {"name": "dqn", "gamma": 0.99, "double": True, "backbone": {"units": [128, 128]}, "extra": None},
    "note": "a|b_c\nd",
}


def run_info(folder, resumed_from=None):
    return RunInfo(folder, folder.name, EXPERIMENT, resumed_from)


def start(folder, resumed_from=None, **options):
    tracker = TensorBoardTracker(**options)
    tracker.advdl_run_started(run_info(folder, resumed_from))
    return tracker


def scalars(folder, tag):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def summaries(folder):
    events = PluginAccumulator(str(folder))
    events.Reload()
    return events


def hparams(folder, tag):
    content = summaries(folder).SummaryMetadata(tag).plugin_data.content
    return plugin_data_pb2.HParamsPluginData.FromString(content)


def test_metrics_and_evaluations_come_back_as_scalars(tmp_path):
    tracker = start(tmp_path)
    tracker.advdl_metrics(1000, {"loss/q": 0.5, "updates": 250.0})
    tracker.advdl_metrics(2000, {"loss/q": 0.25, "updates": 500.0})
    tracker.advdl_evaluated(2000, {"return/mean": 475.0, "return/low": 470.0})
    tracker.advdl_run_finished("done")
    assert scalars(tmp_path, "loss/q") == [(1000, 0.5), (2000, 0.25)]
    assert scalars(tmp_path, "train/updates") == [(1000, 250.0), (2000, 500.0)]
    assert scalars(tmp_path, "eval/return_mean") == [(2000, 475.0)]
    assert scalars(tmp_path, "eval/return_low") == [(2000, 470.0)]


def test_a_diverged_metric_is_shown_as_it_is(tmp_path):
    tracker = start(tmp_path)
    tracker.advdl_metrics(1, {"loss/q": float("nan")})
    tracker.advdl_run_finished("diverged")
    ((step, value),) = scalars(tmp_path, "loss/q")
    assert step == 1
    assert math.isnan(value)


def test_the_experiment_is_a_table(tmp_path):
    start(tmp_path).advdl_run_finished("done")
    (event,) = summaries(tmp_path).Tensors("experiment")
    (text,) = make_ndarray(event.tensor_proto)
    rows = text.decode().splitlines()
    assert rows[:2] == ["| setting | value |", "|---|---|"]
    assert "| agent.gamma | 0.99 |" in rows
    assert "| agent.backbone.units | [128, 128] |" in rows
    assert "| note | a\\|b\\_c d |" in rows


def test_hyperparameters_open_and_close_a_session(tmp_path):
    tracker = start(tmp_path)
    tracker.advdl_run_finished("done")
    opened = hparams(tmp_path, metadata.SESSION_START_INFO_TAG).session_start_info.hparams
    assert opened["agent.gamma"].number_value == 0.99
    assert opened["agent.double"].bool_value is True
    assert opened["seed"].number_value == 3
    assert opened["agent.name"].string_value == "dqn"
    assert opened["agent.backbone.units"].string_value == "[128, 128]"
    assert "agent.extra" not in opened
    closed = hparams(tmp_path, metadata.SESSION_END_INFO_TAG).session_end_info
    assert closed.status == api_pb2.STATUS_SUCCESS


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_can_go_on_leaves_its_session_open(tmp_path, status):
    start(tmp_path).advdl_run_finished(status)
    start(tmp_path, resumed_from=0).advdl_run_finished("done")
    closed = hparams(tmp_path, metadata.SESSION_END_INFO_TAG).session_end_info
    assert closed.status == api_pb2.STATUS_SUCCESS


def test_the_return_has_a_chart_with_its_interval(tmp_path):
    start(tmp_path).advdl_run_finished("done")
    (event,) = summaries(tmp_path).Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(make_ndarray(event.tensor_proto).item())
    margin = layout.category[0].chart[0].margin.series[0]
    assert (margin.value, margin.lower, margin.upper) == (
        "eval/return_mean",
        "eval/return_low",
        "eval/return_high",
    )


def test_a_resumed_run_shows_what_a_run_that_never_stopped_shows(tmp_path):
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    for folder in (broken, whole):
        folder.mkdir()
    tracker = start(broken)
    for step in range(100, 1000, 100):
        tracker.advdl_metrics(step, {"loss/q": step})
    tracker.advdl_metrics(950, {"loss/lost": 1.0})
    tracker.advdl_checkpoint_saved(500, broken)  # killed here: nothing is closed
    tracker._events._file.close()
    tracker = start(broken, resumed_from=500)
    for step in range(600, 1300, 100):
        tracker.advdl_metrics(step, {"loss/q": step})
    tracker.advdl_run_finished("done")
    tracker = start(whole)
    for step in range(100, 1300, 100):
        tracker.advdl_metrics(step, {"loss/q": step})
    tracker.advdl_run_finished("done")
    assert scalars(broken, "loss/q") == scalars(whole, "loss/q")
    assert scalars(broken, "loss/lost") == []  # written after the checkpoint, and not again
    assert len(summaries(broken).Tensors("experiment")) == 1


def test_histograms_hold_every_finite_value(tmp_path):
    tracker = start(tmp_path, histograms=True)
    values = np.linspace(-2.0, 3.0, 1000, dtype=np.float32).reshape(10, 100)
    bad = np.array([np.nan, 1.0, np.inf])
    arrays = {"q/kernel": values, "bad": bad, "empty": np.zeros(0), "nan": np.full(3, np.nan)}
    tracker.advdl_histograms(7, arrays)
    tracker.advdl_run_finished("done")
    events = summaries(tmp_path)
    (event,) = events.Tensors("variables/q/kernel")
    buckets = make_ndarray(event.tensor_proto)
    assert event.step == 7
    assert buckets[:, 2].sum() == 1000
    assert (buckets[0, 0], buckets[-1, 1]) == (-2.0, 3.0)
    assert make_ndarray(events.Tensors("variables/bad")[0].tensor_proto)[:, 2].sum() == 1
    shown = {tag for tag in events.Tags()["tensors"] if tag.startswith("variables/")}
    assert shown == {"variables/q/kernel", "variables/bad"}


def test_histograms_are_only_written_on_request(tmp_path):
    tracker = start(tmp_path)
    assert not tracker.histograms
    tracker.advdl_histograms(1, {"w": np.ones(3)})
    tracker.advdl_run_finished("done")
    assert "variables/w" not in summaries(tmp_path).Tags()["tensors"]


def test_pictures_come_back_pixel_by_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    tracker = start(tmp_path)
    tracker.advdl_images(40, {"grid": pixels})
    tracker.advdl_run_finished("done")
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (event,) = events.Images("images/grid")
    assert (event.step, event.width, event.height) == (40, 7, 5)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(event.encoded_image_string))), pixels)


def test_events_are_on_disk_after_flush_seconds_and_at_once_after_an_evaluation(tmp_path):
    tracker = start(tmp_path, flush_seconds=3600.0)
    tracker.advdl_metrics(1, {"loss/q": 1.0})
    assert "loss/q" not in summaries(tmp_path).Tags()["tensors"]
    tracker.advdl_evaluated(1, {"return/mean": 2.0})
    assert "loss/q" in summaries(tmp_path).Tags()["tensors"]
    tracker.advdl_run_finished("done")
    eager = tmp_path / "eager"
    eager.mkdir()
    tracker = start(eager, flush_seconds=0.0)
    tracker.advdl_metrics(1, {"loss/q": 1.0})
    assert scalars(eager, "loss/q") == [(1, 1.0)]
    tracker.advdl_run_finished("done")


def test_a_folder_that_is_not_there_switches_the_tracker_off(tmp_path):
    warnings = []
    runs = RunDispatcher([], {"tensorboard": TensorBoardTracker()}, warnings.append)
    run = run_info(tmp_path / "gone")
    runs.started(run)
    runs.metrics(run, 1, {"loss/q": 1.0})
    runs.finished(run, "done")
    (warning,) = warnings
    assert "tracker 'tensorboard' is switched off" in warning
    assert "FileNotFoundError" in warning


def test_a_full_disk_switches_the_tracker_off_and_the_run_goes_on(tmp_path):
    # A limit on the size of files is as good as a full disk, and needs no disk; it holds in its own process.
    script = """
        import resource, sys
        from pathlib import Path
        from advdl.plugin import RunInfo
        from advdl.plugin.run_hooks import RunDispatcher
        from advdl_tensorboard.tracker import TensorBoardTracker

        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        tracker = TensorBoardTracker(flush_seconds=0.0)
        runs = RunDispatcher([], {"tensorboard": tracker}, lambda text: print(text, file=sys.stderr))
        run = RunInfo(Path(sys.argv[1]), "x", {})
        runs.started(run)
        for step in range(1000):
            runs.metrics(run, step, {"loss/q": 1.0})
        runs.finished(run, "done")
        assert "tensorflow" not in sys.modules
        print("went on")
    """
    done = python(script, tmp_path)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr
    (warning,) = done.stderr.splitlines()
    assert "tracker 'tensorboard' is switched off for this run: advdl_metrics raised OSError" in warning
    written = scalars(tmp_path, "loss/q")
    assert len(written) > 50
    assert written == [(step, 1.0) for step in range(len(written))]


def python(script, folder: Path):
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
