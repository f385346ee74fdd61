"""Export of a policy: a file or folder that acts without advdl, checked against the live policy before it is there."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.errors import RunError, UsageError
from advdl.rl.agent import Agent
from advdl.rl.export_formats import SUFFIXES
from advdl.rl.spaces import leaves, stored_dtype, unflatten
from advdl.training.naming import learner_variables

_SAMPLES = 64
_TOLERANCE = 1e-4

Run = Callable[[Sequence[NDArray[Any]]], NDArray[Any]]
"""From a batch's leaves to its actions."""


class ExportedPolicy(tf.Module):  # type: ignore[misc]
    """A policy without exploration as a TensorFlow function of any batch.

    Inputs are the leaves of the observation, ``observation`` or ``observation_0``, ``observation_1``, ... in the order
    of ``rl.spaces.leaves``; the output is ``action``.

    Args:
        agent: The agent; it must have no carry.

    Raises:
        UsageError: The agent has a memory of its own.
    """

    def __init__(self, agent: Agent) -> None:
        super().__init__(name="policy")
        if tf.nest.flatten(agent.initial_carry(1)):
            raise UsageError("an agent with a memory of its own cannot be exported", hint="export one without")
        self._agent, self._space = agent, agent.spaces.observation
        # Tracked, so that a SavedModel holds them. Not the models: Keras would trace signatures of its own for each.
        self._state = list(learner_variables(agent).values())
        parts = [leaf for _, leaf in leaves(self._space)]
        names = ["observation"] if len(parts) == 1 else [f"observation_{index}" for index in range(len(parts))]
        self.specs = [
            tf.TensorSpec([None, *(leaf.shape or ())], tf.as_dtype(stored_dtype(leaf)), name)
            for leaf, name in zip(parts, names, strict=True)
        ]
        self.program = tf.function(self._act, input_signature=self.specs, autograph=False)

    def samples(self, count: int = _SAMPLES) -> list[NDArray[Any]]:
        """Returns random observations, a leaf each."""
        parts = []
        for index, (_, leaf) in enumerate(leaves(self._space)):
            leaf.seed(index)
            drawn = np.stack([np.asarray(leaf.sample()) for _ in range(count)])
            parts.append(drawn.astype(stored_dtype(leaf)))
        return parts

    def __call__(self, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Acts live."""
        action: NDArray[Any] = self.program(*map(tf.constant, parts))["action"].numpy()
        return action

    def _act(self, *parts: tf.Tensor) -> dict[str, tf.Tensor]:
        seen = unflatten(self._space, parts)
        seed = tf.constant([0, 0], tf.int32)
        return {"action": self._agent.act(seen, self._agent.initial_carry(1), seed, progress=None).action}


def export(agent: Agent, target: Path, kind: str) -> None:
    """Writes a policy, having seen that it acts as the live one on random observations.

    Args:
        agent: The agent, with the weights that are wanted.
        target: The file, or the folder of a SavedModel; must not be there.
        kind: The format, a key of ``SUFFIXES``. ``onnx`` needs the extra ``onnx``.

    Raises:
        UsageError: There is something at the target, the extra is missing, or the agent cannot be exported.
        RunError: What was written does not act as the live policy; it is removed again.
    """
    if target.exists():
        raise UsageError(f"{target} is there already", hint="--output names another file")
    policy = ExportedPolicy(agent)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as work:
        written = Path(work) / f"policy{SUFFIXES[kind]}"
        run = _WRITERS[kind](policy, written)
        _compare(policy, run, kind)
        shutil.move(written, target)


def _compare(policy: ExportedPolicy, run: Run, kind: str) -> None:
    samples = policy.samples()
    live, exported = policy(samples), run(samples)
    exact = live.dtype.kind in "iub"
    same = np.array_equal(live, exported) if exact else np.allclose(live, exported, _TOLERANCE, _TOLERANCE)
    if live.shape != np.shape(exported) or not same:
        raise RunError(f"the {kind} export does not act as the live policy does, and was not written")


def _savedmodel(policy: ExportedPolicy, folder: Path) -> Run:
    tf.saved_model.save(policy, str(folder), signatures=policy.program.get_concrete_function())
    loaded = tf.saved_model.load(str(folder))

    def run(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        named = {spec.name: tf.constant(part) for spec, part in zip(policy.specs, parts, strict=True)}
        # Asked for each time: the signature alone does not keep the variables alive.
        action: NDArray[Any] = loaded.signatures["serving_default"](**named)["action"].numpy()
        return action

    return run


def _onnx(policy: ExportedPolicy, file: Path) -> Run:
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise UsageError(
            f"ONNX needs {error.name}, which is not installed", hint="pip install 'advdl[onnx]'"
        ) from error
    tf2onnx.convert.from_function(policy.program, input_signature=policy.specs, opset=17, output_path=str(file))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]

    def run(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        by_name = {spec.name: part for spec, part in zip(policy.specs, parts, strict=True)}
        feeds = {name: by_name[name.partition(":")[0]] for name in names}
        action: NDArray[Any] = session.run(None, feeds)[0]
        return action

    return run


def _litert(policy: ExportedPolicy, file: Path) -> Run:
    with tempfile.TemporaryDirectory() as folder:  # only a SavedModel keeps the names of inputs and outputs
        tf.saved_model.save(policy, folder, signatures=policy.program.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
        file.write_bytes(converter.convert())
    interpreter = _interpreter(str(file))
    runner = interpreter.get_signature_runner()

    def run(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        action: NDArray[Any] = runner(**{spec.name: part for spec, part in zip(policy.specs, parts, strict=True)})[
            "action"
        ]
        return action

    return run


def _interpreter(file: str) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return tf.lite.Interpreter(file)
    return Interpreter(file)


_WRITERS: Mapping[str, Callable[[ExportedPolicy, Path], Run]] = {
    "savedmodel": _savedmodel,
    "onnx": _onnx,
    "litert": _litert,
}
