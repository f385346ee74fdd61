"""``python -m advdl.cli.tethered``: the command line, tied to who started it.

When the other end of standard input is closed, as it is when the process that holds it dies, this process gets SIGTERM:
a run that is under way saves a checkpoint and stops, instead of training on for nobody.
"""

import os
import signal
import sys
import threading

from advdl.cli.app import main


def _wait_for_the_end() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held at exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_wait_for_the_end, daemon=True).start()
    sys.exit(main())
