"""Prints how many copies of a big state are made to save it, and to restore it; its one argument is a folder.

A process of its own: one that has run other tests has free memory, in which a copy would not be seen.
"""

import json
import sys
from pathlib import Path

import tensorflow as tf

from advdl.training.checkpoint import CheckpointStore

SIZE = 64 * 2**20


def memory(field: str) -> int:
    """Returns a figure of /proc/self/status in bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


def main(folder: Path) -> None:
    store, state = CheckpointStore(folder), {"replay": tf.Variable(tf.ones([SIZE // 4]))}
    copies = []
    for action in (lambda: store.save(1, state, {}), lambda: store.restore(state)):
        Path("/proc/self/clear_refs").write_text("5")
        before = memory("VmRSS")
        action()
        copies.append((memory("VmHWM") - before) / SIZE)
    print(json.dumps(copies))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
