"""The policy of an algorithm of stable-baselines3 as an ONNX file, checked against the live one."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize, VecTransposeImage, is_vecenv_wrapped
from torch.onnx import symbolic_helper

from advdl.errors import RunError, UsageError

_SAMPLES = 64
_TOLERANCE = 1e-4
_OPSET = 17


class ExportedPolicy(torch.nn.Module):
    """A policy without exploration: from a batch of observations, as the env gives them, to actions for the env.

    Args:
        model: The algorithm.

    Raises:
        UsageError: Observations are no single array.
    """

    def __init__(self, model: BaseAlgorithm) -> None:
        super().__init__()
        space = model.observation_space
        if isinstance(space, (spaces.Dict, spaces.Tuple)):
            raise UsageError(f"a policy for {space} cannot be written as ONNX", hint="--format sb3 can be written")
        self.policy = model.policy
        self._actions = model.action_space
        # Images that the env gives with channels last are transposed on their way to the networks.
        venv = model.get_env()
        self._transposed = venv is not None and is_vecenv_wrapped(venv, VecTransposeImage)
        self._normaliser = _moments(model.get_vec_normalize_env())
        if isinstance(self._actions, spaces.Box):
            self.register_buffer("low", torch.as_tensor(self._actions.low))
            self.register_buffer("high", torch.as_tensor(self._actions.high))

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Acts; ``[batch, ...]`` to ``[batch, ...]``."""
        if self._normaliser is not None:
            mean, deviation, clip = self._normaliser
            observation = torch.clamp((observation - mean) / deviation, -clip, clip)
        if self._transposed:
            observation = observation.permute(0, 3, 1, 2)
        action = self.policy._predict(observation, deterministic=True)
        if not isinstance(self._actions, spaces.Box):
            return action
        if self.policy.squash_output:
            return self.low + 0.5 * (action + 1.0) * (self.high - self.low)
        return torch.clamp(action, self.low, self.high)


def write_onnx(model: BaseAlgorithm, act: Callable[[Any], Any], space: spaces.Space[Any], file: Path) -> None:
    """Writes the policy, having seen that it acts as the live one on random observations.

    Args:
        model: The algorithm.
        act: The live policy.
        space: What the env shows.
        file: The file.

    Raises:
        UsageError: The extra is missing, or torch cannot write the policy.
        RunError: What was written does not act as the live policy.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError("ONNX needs onnxruntime, which is not installed", hint="pip install 'advdl[onnx]'") from error
    policy = ExportedPolicy(model)
    space.seed(0)
    observations = np.stack([np.asarray(space.sample()) for _ in range(_SAMPLES)])
    _write(policy, observations, file)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    exported = session.run(None, {"observation": observations})[0]
    live = act(observations)
    exact = live.dtype.kind in "iu"
    same = np.array_equal(live, exported) if exact else np.allclose(live, exported, _TOLERANCE, _TOLERANCE)
    if not same:
        raise RunError("the onnx export does not act as the live policy does, and was not written")


def _write(policy: ExportedPolicy, observations: NDArray[Any], file: Path) -> None:
    """Traces the policy: the exporter that captures programs would need two more packages."""
    inner = policy.policy
    training = inner.training
    inner.set_training_mode(False)
    try:
        with warnings.catch_warnings(), torch.no_grad(), _traced_layer_norm():
            warnings.simplefilter("ignore")  # of the exporter's age, and of shapes that are constants, as they are
            torch.onnx.export(
                policy,
                (torch.as_tensor(observations[:2]),),
                str(file),
                input_names=["observation"],
                output_names=["action"],
                dynamic_axes={"observation": {0: "batch"}, "action": {0: "batch"}},
                opset_version=_OPSET,
                dynamo=False,
            )
    except torch.onnx.OnnxExporterError as error:
        why = str(error).partition(",")[0].partition("\n")[0]
        raise UsageError(
            f"torch cannot write this policy as ONNX: {why}", hint="--format sb3 can be written"
        ) from error
    finally:
        inner.set_training_mode(training)


@contextlib.contextmanager
def _traced_layer_norm() -> Iterator[None]:
    """Writes Keras' layer normalisation, whose sizes are traced where torch's own are numbers: their count will do."""
    name = "aten::layer_norm"
    torch.onnx.register_custom_op_symbolic(name, _layer_norm, _OPSET)
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(name, _OPSET)


def _layer_norm(graph: Any, x: Any, sizes: Any, scale: Any, offset: Any, epsilon: Any, cudnn: Any) -> Any:
    """Builds ONNX's operation; sizes are a list of the graph, and epsilon a constant of it."""
    del cudnn
    axes = len(symbolic_helper._unpack_list(sizes))
    options = {"epsilon_f": symbolic_helper._parse_arg(epsilon, "f"), "axis_i": -axes}
    return graph.op("LayerNormalization", x, scale, offset, **options)


def _moments(normaliser: VecNormalize | None) -> tuple[torch.Tensor, torch.Tensor, float] | None:
    if normaliser is None or not normaliser.norm_obs:
        return None
    moments = normaliser.obs_rms
    deviation = np.sqrt(moments.var + normaliser.epsilon)
    return (*(torch.as_tensor(value, dtype=torch.float32) for value in (moments.mean, deviation)), normaliser.clip_obs)
