"""A profile covers the updates that were asked for, and no others."""

import tensorflow as tf

from advdl.experiment.profiling import Profiler


class Counting:
    """Steps by tens, and makes an update a step once it has made 20."""

    def __init__(self):
        self.step, self.calls = 0, []

    @property
    def updates(self):
        return max(self.step - 20, 0)

    def advance(self, until):
        tf.reduce_sum(tf.ones([8])).numpy()
        self.step = min(until, self.step + 10)
        self.calls.append(self.step)


def test_a_window_of_updates_is_profiled_step_by_step(tmp_path):
    work, profiler = Counting(), Profiler("3:6", tmp_path)
    while work.step < 60:
        profiler.advance(work, 60)
        if work.updates == 6:
            assert not list(tmp_path.rglob("*.xplane.pb"))  # it is under way
    assert work.calls[:26] == list(range(1, 27))
    assert work.calls[26:] == [36, 46, 56, 60]
    assert len(list(tmp_path.glob("plugins/profile/*/*.xplane.pb"))) == 1


def test_without_a_window_nothing_changes(tmp_path):
    work, profiler = Counting(), Profiler("", tmp_path)
    while work.step < 30:
        profiler.advance(work, 30)
    profiler.close()
    assert work.calls == [10, 20, 30]
    assert not list(tmp_path.iterdir())
