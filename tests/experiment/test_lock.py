import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from advdl.errors import UsageError
from advdl.experiment.lock import holder, locked

HOLD = (
    "import sys, time; from pathlib import Path; from advdl.experiment.lock import locked\n"
    "with locked(Path(sys.argv[1]), what='run x'):\n"
    "    print('held', flush=True); time.sleep(60)"
)
TRY = (
    "import sys; from pathlib import Path; from advdl.errors import UsageError\n"
    "from advdl.experiment.lock import locked\n"
    "try:\n"
    "    with locked(Path(sys.argv[1]), what='run x'): print('held')\n"
    "except UsageError as error: print(error.message)"
)


@contextmanager
def other_writer(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_second_process_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with other_writer(path) as process:
        done = subprocess.run([sys.executable, "-c", TRY, str(path)], capture_output=True, text=True, check=True)
        assert done.stdout == f"run x is in use by process {process.pid}\n"
        with pytest.raises(UsageError, match=f"in use by process {process.pid}"), locked(path, what="run x"):
            pass
        assert holder(path) == str(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert holder(path) is None
        with locked(path, what="run x"):
            assert path.read_text() == str(os.getpid())


def test_within_one_process_too(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, what="run x"), pytest.raises(UsageError), locked(path, what="run x"):
        pass
    with locked(path, what="run x"):
        pass
    assert holder(path) is None
    assert holder(tmp_path / "none") is None


def test_a_forked_child_does_not_keep_it(tmp_path: Path) -> None:
    """An env's worker may outlive a killed trainer; the run must be free to resume all the same."""
    path = tmp_path / "lock"
    code = HOLD.replace("time.sleep(60)", "import os; os.fork() or time.sleep(60); time.sleep(60)")
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"held\n"
        while len(children := Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()) < 1:
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        os.kill(int(children[0]), 0)  # it is alive
        with locked(path, what="run x"):
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
