"""PeerWatch: notices that another worker is gone, and turns a wait for it into an error.

A collective waits for all workers, for ever where one has been killed before it joined. So a thread asks every few
seconds whether each worker's port still answers; if not, it aborts the collectives, and where even that does not wake
the waiting call up, it ends the process.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python.eager import context as eager_context

from advdl.errors import RunError
from advdl.training.cluster import Cluster

_RESUME = "start the job again: it goes on from the last checkpoint, advdl launch --workers N -- runs resume RUN"


class PeerWatch:
    """Watches the other workers of a cluster.

    Args:
        cluster: The workers.
        every: Seconds between two looks.
        failures: A worker is gone after so many looks in succession that found nobody.
        patience: Seconds that an aborted call may take to return before the process is ended.
    """

    def __init__(self, cluster: Cluster, *, every: float = 2.0, failures: int = 3, patience: float = 10.0) -> None:
        self._cluster, self._every, self._failures, self._patience = cluster, every, failures, patience
        self._waiting = False
        self.lost: int | None = None

    def start(self) -> None:
        """Begins to watch; call it once all workers are there."""
        threading.Thread(target=self._watch, name="peer watch", daemon=True).start()

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Surrounds a call that may wait for the other workers.

        Raises:
            RunError: One of them is gone.
        """
        self._waiting = True
        try:
            yield
        except tf.errors.OpError as error:
            lost = self._lost_after(error)
            if lost is None:
                raise
            raise RunError(self._complaint(lost), hint=_RESUME) from error
        finally:
            self._waiting = False

    def _lost_after(self, error: Exception) -> int | None:
        """Names who is gone; a connection breaks a moment before nobody answers any more."""
        if not isinstance(error, tf.errors.UnavailableError | tf.errors.AbortedError | tf.errors.CancelledError):
            return self.lost
        until = time.monotonic() + self._every * (self._failures + 1)
        while self.lost is None and time.monotonic() < until:
            time.sleep(0.1)
        return self.lost

    def _watch(self) -> None:
        missed = dict.fromkeys(self._cluster.peers, 0)
        while True:
            time.sleep(self._every)
            for index, address in self._cluster.peers.items():
                missed[index] = 0 if _answers(address) else missed[index] + 1
            gone = [index for index, count in missed.items() if count >= self._failures]
            if gone:
                self._give_up(gone[0])
                return

    def _give_up(self, index: int) -> None:
        self.lost = index
        eager_context.context().abort_collective_ops(tf.errors.UNAVAILABLE, self._complaint(index))
        time.sleep(self._patience + self._every * (self._failures + 1))
        if self._waiting:
            print(f"error: {self._complaint(index)}\nhint: {_RESUME}", file=sys.stderr, flush=True)
            os._exit(1)

    def _complaint(self, index: int) -> str:
        return f"worker {index} at {self._cluster.addresses[index]} is gone, and the others cannot go on without it"


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5.0).close()
    except OSError:
        return False
    return True
