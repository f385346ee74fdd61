"""Stands in for ``advdl ... train`` in the tests of several seeds: keeps its contract without TensorFlow.

Its words are the runs' folder, the seed and what it does: ``done``, ``lasts``, ``fails``, ``dies``, ``waits`` or
``refuses``.
"""

import os
import signal
import sys
import time
from pathlib import Path

from advdl.experiment.config import Experiment
from advdl.experiment.run_folder import RunFolder


def main(root: Path, seed: int, what: str) -> int:
    if what == "refuses":
        print("error: agent has no option 'gama'\nhint: did you mean 'gamma'?", file=sys.stderr)
        return 2
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stopped.append(number))
    experiment = Experiment({"seed": seed, "steps": 100}, {})
    folder = RunFolder.create(root, "Toy-v0", "toy", experiment, ["advdl"], group="toys")
    print(f"run {folder.path}", file=sys.stderr, flush=True)
    folder.append_metrics(40, {"rollout/return": 1.0})
    while what == "waits" and not stopped:
        time.sleep(0.02)
    if what == "lasts":
        time.sleep(1.0)  # long enough to be seen on any machine, and then it is done
    if stopped:
        print("error: stopped; the checkpoint is saved", file=sys.stderr)
        folder.write_status("interrupted", step=50)
        return 128 + stopped[0]
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "fails":
        print("error: CartPole-v1 copy 3 raised ValueError", file=sys.stderr)
        return 1
    folder.append_evaluation(100, {"kind": "final", "score": 10.0 * seed})
    print("step 100: return 1.0", file=sys.stderr)
    folder.write_status("done", step=100)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
