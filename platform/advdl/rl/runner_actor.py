"""A runner as Ray sees it: a module of its own, which brings no TensorFlow into the runners' processes."""

import os
import pickle
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from advdl.rl.runner import Runner


class RunnerActor:
    """Does what the learner asks for.

    Args:
        task: A pickled ``RunnerTask``, from the learner's own memory.
        path: Where the learner looks for modules: an env may be one of them.
    """

    def __init__(self, task: bytes, path: Sequence[str]) -> None:
        sys.path += [folder for folder in path if folder not in sys.path]
        self._runner = Runner(pickle.loads(task))

    def pid(self) -> int:
        """Returns the id of this process."""
        return os.getpid()

    def ask(self, what: str, *arguments: Any) -> Any:
        """Calls a method of the runner."""
        return getattr(self._runner, what)(*_writable(arguments))

    def take_policy(self, policy: bytes) -> dict[str, Any]:
        """Takes the pickled program that decides."""
        self._runner.take_policy(pickle.loads(policy))
        return {}

    def play(self, *arguments: Any) -> Any:
        """Plays a round."""
        return self._runner.play(*arguments)


def _writable(arguments: Sequence[Any]) -> Sequence[Any]:
    """Copies arrays, which are read-only views of Ray's object store."""
    return [
        [np.array(part) if isinstance(part, np.ndarray) else part for part in each] if isinstance(each, list) else each
        for each in arguments
    ]
