import types
from pathlib import Path

import pytest

from advdl.plugin import RunInfo, hookimpl
from advdl.plugin.run_hooks import RunDispatcher

RUN = RunInfo(Path("runs/x"), "x", {})


class Recorder:
    def __init__(self):
        self.calls = []

    def advdl_run_started(self, run):
        self.calls.append(("started", run.id))

    def advdl_metrics(self, step, metrics):
        self.calls.append(("metrics", step, dict(metrics)))

    def advdl_evaluated(self, run, step, evaluation):
        self.calls.append(("evaluated", step, dict(evaluation)))

    def advdl_checkpoint_saved(self, folder):
        self.calls.append(("saved", folder))

    def advdl_images(self, step, images):
        self.calls.append(("images", step, sorted(images)))

    def advdl_histograms(self, arrays):
        self.calls.append(("histograms", sorted(arrays)))

    def advdl_run_finished(self, status, error):
        self.calls.append(("finished", status, error))


class Raising(Recorder):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def advdl_metrics(self, step):
        raise self.error


@pytest.fixture
def warnings():
    return []


def test_every_hook_reaches_a_tracker_that_decorates_nothing(warnings):
    tracker = Recorder()
    runs = RunDispatcher([], {"mine": tracker}, warnings.append)
    runs.started(RUN)
    runs.metrics(RUN, 10, {"loss/q": 0.5})
    runs.evaluated(RUN, 10, {"return/mean": 3.0})
    runs.histograms(RUN, 10, {"w": None})
    runs.images(RUN, 10, {"grid": None})
    runs.checkpoint_saved(RUN, 10, Path("c"))
    runs.finished(RUN, "failed", "why")
    assert tracker.calls == [
        ("started", "x"),
        ("metrics", 10, {"loss/q": 0.5}),
        ("evaluated", 10, {"return/mean": 3.0}),
        ("histograms", ["w"]),
        ("images", 10, ["grid"]),
        ("saved", Path("c")),
        ("finished", "failed", "why"),
    ]
    assert warnings == []


def test_a_plugin_module_needs_the_decorator(warnings):
    heard = []
    module = types.ModuleType("a_plugin")
    module.advdl_metrics = hookimpl(lambda step: heard.append(step))
    module.advdl_evaluated = lambda step: heard.append("undecorated")
    runs = RunDispatcher([("a-plugin", module)], {}, warnings.append)
    runs.metrics(RUN, 7, {})
    runs.evaluated(RUN, 8, {})
    assert heard == [7]
    assert warnings == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SystemExit(3), ValueError("a\nb")])
def test_one_that_raises_is_reported_once_and_switched_off(warnings, error):
    bad, good = Raising(error), Recorder()
    runs = RunDispatcher([], {"bad": bad, "good": good}, warnings.append)
    for step in (1, 2):
        runs.metrics(RUN, step, {})
    runs.finished(RUN, "done")
    (warning,) = warnings
    assert "tracker 'bad'" in warning
    assert "advdl_metrics" in warning
    assert type(error).__name__ in warning
    assert "\n" not in warning
    assert bad.calls == []
    assert [call[0] for call in good.calls] == ["metrics", "metrics", "finished"]


def test_a_plugin_that_raises_leaves_the_trackers_alone(warnings):
    module = types.ModuleType("bad_plugin")

    @hookimpl
    def advdl_run_started(run):
        raise RuntimeError("no server")

    module.advdl_run_started = advdl_run_started
    tracker = Recorder()
    runs = RunDispatcher([("bad-plugin", module)], {"mine": tracker}, warnings.append)
    runs.started(RUN)
    assert tracker.calls == [("started", "x")]
    assert warnings == [
        "plugin 'bad-plugin' is switched off for this run: advdl_run_started raised RuntimeError: no server"
    ]


def test_ctrl_c_passes_through(warnings):
    runs = RunDispatcher([], {"mine": Raising(KeyboardInterrupt())}, warnings.append)
    with pytest.raises(KeyboardInterrupt):
        runs.metrics(RUN, 1, {})


def test_an_argument_that_the_hook_does_not_have_switches_off_at_once(warnings):
    class Wrong(Recorder):
        def advdl_metrics(self, step, loss):
            raise AssertionError("never called")

    good = Recorder()
    runs = RunDispatcher([], {"wrong": Wrong(), "good": good}, warnings.append)
    runs.metrics(RUN, 1, {})
    (warning,) = warnings
    assert "tracker 'wrong'" in warning
    assert "'loss'" in warning
    assert good.calls


def test_a_misspelt_hook_is_named_with_the_right_one(warnings):
    class Misspelt:
        def advdl_metric(self, step):
            raise AssertionError("never called")

    RunDispatcher([], {"mine": Misspelt()}, warnings.append).metrics(RUN, 1, {})
    assert warnings == ["tracker 'mine': there is no run hook 'advdl_metric'; did you mean 'advdl_metrics'?"]


def test_variables_are_wanted_only_while_a_tracker_that_wants_them_is_on(warnings):
    tracker = Raising(ValueError("x"))
    runs = RunDispatcher([], {"mine": tracker}, warnings.append)
    assert not runs.wants_histograms
    tracker.histograms = True
    assert runs.wants_histograms
    runs.metrics(RUN, 1, {})
    assert not runs.wants_histograms
