"""Starts what a process computes with: TensorFlow, quietly and with its programs kept on disk, or torch without it."""

import contextlib
import gc
import importlib
import os
import platform
import sys
import types
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from advdl.errors import RunError, UsageError
from advdl.training.memory import keep_memory

_PERSISTENT_CACHE = "--tf_xla_persistent_cache_directory={} --tf_xla_persistent_cache_device_types=CPU"

# Keras and TensorFlow import these where they are installed: a second or two, for wrappers and plots that no one asked
# for. Only keras.wrappers, keras.visualization and TensorFlow Lite's converter of JAX models miss them.
_NOT_NEEDED = ("jax", "matplotlib", "sklearn")

_WITHOUT_TENSORFLOW = "tensorboard.compat.notf"


def start_backend(name: str = "tensorflow") -> None:
    """Sets a process up for a backend of Keras. It must come before anything imports Keras.

    Args:
        name: ``tensorflow`` or ``torch``; what a component's ``details["backend"]`` says.

    Raises:
        UsageError: There is no such backend.
        RunError: The process runs on another one already.
    """
    starts = {"tensorflow": start_tensorflow, "torch": start_torch}
    if name not in starts:
        raise UsageError(f"there is no backend {name!r}", hint=f"a component's details may say {' or '.join(starts)}")
    starts[name]()


def start_torch() -> None:
    """Makes torch the backend of Keras and keeps TensorFlow out.

    Torch's TensorBoard writer would import TensorFlow, for nothing but its file system: about ten seconds. TensorBoard
    has a stand-in for it, and a switch: a module that need only exist. It is there while torch's writer is imported.

    Raises:
        RunError: Keras runs on another backend already, and there is one a process.
    """
    keras = sys.modules.get("keras")
    if keras is not None and keras.backend.backend() != "torch":
        other = keras.backend.backend()
        raise RunError(
            f"Keras runs on {other} in this process, and an agent on torch needs a process of its own",
            hint="run it with: advdl agent train",
        )
    os.environ["KERAS_BACKEND"] = "torch"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # an env may compute with TensorFlow all the same
    there = sys.modules.get(_WITHOUT_TENSORFLOW)
    sys.modules[_WITHOUT_TENSORFLOW] = there or types.ModuleType(_WITHOUT_TENSORFLOW)
    try:
        with contextlib.suppress(ImportError):
            importlib.import_module("torch.utils.tensorboard")
    finally:
        if there is None:
            del sys.modules[_WITHOUT_TENSORFLOW]


def xla_cache_folder() -> Path:
    """Returns the folder of compiled programs: one for each machine type and TensorFlow version.

    A program compiled for one processor may hold instructions that another lacks, so the folder's name holds both.
    ``ADVDL_XLA_CACHE`` moves it; an empty value switches it off.
    """
    root = os.environ.get("ADVDL_XLA_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "advdl" / "xla" / f"{_processor()}-tf{metadata.version('tensorflow')}"


def start_tensorflow() -> None:
    """Imports TensorFlow once, with its start-up chatter silenced, oneDNN's kernels and the compile cache on.

    Has no effect on the kernels and on the cache when TensorFlow is already imported: it reads its flags only then.
    """
    if "tensorflow" in sys.modules:
        return
    if os.environ.get("ADVDL_XLA_CACHE") != "":
        _keep_compiled_programs()
    # Reading a program from the cache logs an error that is none; real ones arrive as exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # By itself TensorFlow takes them on the newest processors alone; convolutions are faster with them on any.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    keep_memory()
    with _quiet_stderr(), _uncollected(), _hidden(_NOT_NEEDED):
        import tensorflow as tf  # noqa: F401 - its devices stay unclaimed: how many there are is set later


def _keep_compiled_programs() -> None:
    folder = xla_cache_folder()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.environ.get("TF_XLA_FLAGS", "")
        os.environ["TF_XLA_FLAGS"] = f"{flags} {_PERSISTENT_CACHE.format(folder)}".strip()


def _processor() -> str:
    """Names the instruction set, not the model: the flags decide what a compiled program may use."""
    import hashlib

    facts = platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        facts += next((line for line in lines if line.startswith(("flags", "Features"))), "")
        facts += next((line for line in lines if line.startswith("model name")), "")
    return f"{platform.machine()}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"


@contextlib.contextmanager
def _hidden(names: Iterable[str]) -> Iterator[None]:
    """Makes packages look as if they were not installed, unless they have been imported already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is what makes an import fail
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keeps the garbage collector from what an import makes, now and later: a million objects that are no garbage."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Sends file descriptor 2 nowhere: no variable silences what TensorFlow's C++ prints while it is imported."""
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
