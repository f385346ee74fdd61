import os
import signal

import pytest

from advdl.experiment.signals import StoppedError, StopRequest


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_only_noted(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest().watching() as stop:
        assert stop.number is None
        send(number)
        assert stop.number == number
        send(signal.SIGTERM)  # a second SIGTERM waits for the checkpoint too
        assert stop.number in (number, signal.SIGTERM)
    assert signal.getsignal(number) is before


def test_a_second_interrupt_does_not_wait() -> None:
    with StopRequest().watching():
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_is_said(number: signal.Signals, code: int) -> None:
    stopped = StoppedError(number, 12_345, hint="advdl runs resume x")
    assert int(stopped.exit_code) == code
    assert stopped.message == f"stopped by {number.name} at step 12,345; the checkpoint is saved"
