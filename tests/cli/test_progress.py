import io
import os

import pytest

from advdl.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True

    @property
    def lines(self):
        """What stood on the line after each write."""
        return [text for text in self.getvalue().replace("\n", "\r").split("\r") if text.strip()]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_terminal_gets_one_live_line(clock):
    terminal = Terminal()
    with Progress(50_000, stream=terminal, clock=clock) as progress:
        for step in range(5_000, 50_001, 5_000):
            clock.now += 0.5
            progress.update(step, value=step / 100)
    text = terminal.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\n")
    last = terminal.lines[-1].rstrip()
    assert last == "50,000/50,000  100%  return 500.0  10,000 steps/s  eta 0s"
    assert "\x1b" not in text


def test_rate_and_eta_are_those_of_the_last_seconds(clock):
    terminal = Terminal()
    progress = Progress(100_000, stream=terminal, clock=clock)
    for _ in range(20):  # compiling: hardly a step
        clock.now += 1.0
        progress.update(10)
    for step in range(1_000, 40_001, 1_000):
        clock.now += 1.0
        progress.update(step)
    assert "1,000 steps/s  eta 1m00s" in terminal.lines[-1]


def test_the_rate_counts_neither_compiling_nor_what_a_resumed_run_had(clock):
    terminal = Terminal()
    progress = Progress(2_000, stream=terminal, clock=clock)
    clock.now += 20.0
    progress.update(1_000)
    assert "steps/s" not in terminal.lines[-1]
    clock.now += 1.0
    progress.update(1_100)
    assert "100 steps/s  eta 9s" in terminal.lines[-1]


def test_the_age_of_the_checkpoint_is_shown(clock):
    terminal = Terminal()
    progress = Progress(2_000, stream=terminal, clock=clock)
    progress.checkpoint_saved()
    clock.now += 75.0
    progress.update(500)
    assert terminal.lines[-1].rstrip().endswith("saved 1m15s ago")


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_no_line_is_ever_too_long(clock, monkeypatch, columns):
    monkeypatch.setattr("shutil.get_terminal_size", lambda fallback: os.terminal_size((columns, 24)))
    terminal = Terminal()
    progress = Progress(10**12, stream=terminal, clock=clock)
    progress.checkpoint_saved()
    for step in (1, 10**11, 10**12):
        clock.now += 4000.0
        progress.update(step, value=-123456.7)
    assert len(terminal.lines) == 3
    assert max(map(len, terminal.lines)) < min(columns, 80)


def test_a_shorter_line_leaves_nothing_of_the_longer(clock):
    terminal = Terminal()
    progress = Progress(100, stream=terminal, clock=clock)
    progress.update(0)
    clock.now += 1.0
    progress.update(1, value=-123456.5)
    long = len(terminal.lines[-1])
    clock.now += 1.0
    progress.update(2, value=1.0)
    assert len(terminal.lines[-1]) == long


def test_a_pipe_gets_a_plain_line_now_and_then(clock):
    stream = io.StringIO()
    with Progress(1_000, stream=stream, every_seconds=10.0, clock=clock) as progress:
        for step in range(1_000):
            clock.now += 0.1
            progress.update(step + 1)
    lines = stream.getvalue().splitlines()
    assert "\r" not in stream.getvalue()
    assert len(lines) in (10, 11)
    assert lines[-1].startswith("1,000/1,000")


def test_quiet_writes_nothing_but_messages(clock):
    stream = io.StringIO()
    with Progress(10, stream=stream, quiet=True, clock=clock) as progress:
        progress.update(5)
        clock.now += 100.0
        progress.update(10)
        assert stream.getvalue() == ""
        progress.message("tracker 'x' is switched off")
    assert stream.getvalue() == "tracker 'x' is switched off\n"


def test_a_message_stands_on_its_own_line(clock):
    terminal = Terminal()
    progress = Progress(10, stream=terminal, clock=clock)
    progress.update(5)
    progress.message("hello")
    assert terminal.getvalue().endswith("\rhello\n")


def test_a_reader_that_has_gone_does_not_end_the_run(clock):
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        os.close(reader)
        progress = Progress(10, stream=stream, every_seconds=0.0, clock=clock)
        for step in range(10):
            clock.now += 1.0
            progress.update(step)
        progress.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # so that closing it succeeds
