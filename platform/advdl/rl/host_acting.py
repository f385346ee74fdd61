"""Acting in Python: an agent's ``act`` as a function of arrays, without a TensorFlow call a step where that can be."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from advdl.rl.agent import Agent, Progress
from advdl.rl.numpy_program import NumpyProgram, UnsupportedError, values_of
from advdl.rl.numpy_proof import TRIALS, prove, sampled
from advdl.rl.spaces import leaves, stored_dtype, unflatten
from advdl.training.randomness import Stream


@dataclass(frozen=True, slots=True)
class HostActed:
    """What an agent decided, as arrays; the fields are those of ``Acted``."""

    action: NDArray[Any]
    carry: Any
    extras: Mapping[str, NDArray[Any]]
    metrics: Mapping[str, NDArray[Any]]


class HostActing:
    """Acts for ``num_envs`` copies at a step of a run.

    The agent's ``act`` is traced once. If NumPy can carry the trace out, and does what TensorFlow does on a number of
    observations, NumPy acts: for small networks in tens of microseconds. If not, a TensorFlow function does, and one
    line says so. Either way the same step draws the same random numbers.

    Args:
        agent: The agent.
        num_envs: Copies.
        total: The run's length in env steps.
        stream: The random numbers of acting.
        jit: Whether random numbers are those that XLA draws, where it can compile the agent's ``act``.
        say: Told why NumPy does not act.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        num_envs: int,
        total: float,
        stream: Stream,
        jit: bool = False,
        say: Callable[[str], None] = print,
    ) -> None:
        self._agent, self._num_envs, self._total, self._stream = agent, num_envs, total, stream
        self._space = agent.spaces.observation
        specs = [
            tf.TensorSpec((num_envs, *(leaf.shape or ())), tf.as_dtype(stored_dtype(leaf)))
            for _, leaf in leaves(self._space)
        ]
        self.first_carry: Any = tf.nest.map_structure(np.asarray, agent.initial_carry(num_envs))
        carried = [tf.TensorSpec(part.shape, part.dtype) for part in tf.nest.flatten(self.first_carry)]
        self._remembers = bool(carried)
        self._seen = len(specs)
        inputs = [*specs, *carried]
        self._jit = jit
        self._tensorflow = self._traced(inputs)
        self._structure = self._tensorflow.structured_outputs
        self._extras, self._metrics = (sorted(self._structure[part]) for part in ("extras", "metrics"))
        self._weights: Sequence[NDArray[Any]] = ()
        self._numpy = self._numpy_program(inputs, say)

    @property
    def in_numpy(self) -> bool:
        """Whether NumPy acts."""
        return self._numpy is not None

    @property
    def program(self) -> NumpyProgram | None:
        """What NumPy carries out, or None where it does not act."""
        return self._numpy

    @property
    def has_memory(self) -> bool:
        """Whether the agent carries something from step to step."""
        return self._remembers

    @property
    def weights(self) -> Sequence[NDArray[Any]]:
        """The values of ``variables`` that were taken last."""
        return self._weights

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """What ``refresh`` wants the values of."""
        return self._numpy.variables if self._numpy else ()

    @property
    def action_spec(self) -> tf.TensorSpec:
        """Shape and dtype of the action."""
        return _spec(self._structure["action"])

    @property
    def extra_specs(self) -> dict[str, tf.TensorSpec]:
        """Shapes and dtypes of the extras, in the order in which they come."""
        return {name: _spec(self._structure["extras"][name]) for name in self._extras}

    @property
    def metric_names(self) -> Sequence[str]:
        """Names of the metrics, in the order in which they come."""
        return self._metrics

    def refresh(self, values: Sequence[NDArray[Any]]) -> None:
        """Takes the variables' present values; to be called after every change of them."""
        self._weights = list(values)
        if self._numpy:
            self._numpy.refresh(values)

    def draw_ahead(self, step: int, count: int) -> None:
        """Makes the random draws of ``count`` steps from ``step`` on now, so that acting needs no TensorFlow then."""
        if self._numpy:
            self._numpy.draw_ahead(step, count)

    def reread(self) -> None:
        """Reads the variables."""
        self.refresh(values_of(self.variables))

    def __call__(self, observation: Sequence[NDArray[Any]], carry: Any, step: int) -> HostActed:
        """Acts.

        Args:
            observation: The observation's leaves, each ``[num_envs, ...]`` in the dtype in which it is stored.
            carry: What the previous call returned, or ``first_carry``.
            step: The step's number: how many steps every copy has made.
        """
        parts = [*observation, *tf.nest.flatten(carry)] if self._remembers else observation
        flat = self._numpy(parts, step) if self._numpy else self._call(parts, step)
        return self.packed(flat)

    def packed(self, flat: Sequence[NDArray[Any]]) -> HostActed:
        """Puts a program's outputs together: flattened, they come in the order of the fields' sorted names."""
        carried = len(flat) - 1 - len(self._extras) - len(self._metrics)
        carry = tf.nest.pack_sequence_as(self.first_carry, flat[1 : 1 + carried]) if carried else self.first_carry
        extras = dict(zip(self._extras, flat[1 + carried :], strict=False))
        metrics = dict(zip(self._metrics, flat[-len(self._metrics) :], strict=False)) if self._metrics else {}
        return HostActed(flat[0], carry, extras, metrics)

    def _act(self, *inputs: tf.Tensor) -> dict[str, Any]:
        observation, carry, step = inputs[: self._seen], inputs[self._seen : -1], inputs[-1]
        progress = Progress(tf.cast(step * self._num_envs, tf.float32), self._total)
        carried = tf.nest.pack_sequence_as(self.first_carry, list(carry))
        seen = unflatten(self._space, observation)
        acted = self._agent.act(seen, carried, self._stream.at(step), progress=progress)
        result = {"carry": acted.carry, "extras": dict(acted.extras), "metrics": dict(acted.metrics)}
        return {"action": acted.action, **tf.nest.map_structure(tf.convert_to_tensor, result)}

    def _call(self, parts: Sequence[NDArray[Any]], step: int) -> list[NDArray[Any]]:
        flat = self._tensorflow(*map(tf.constant, parts), tf.constant(step, tf.int64))
        return [tensor.numpy() for tensor in tf.nest.flatten(flat)]

    def _traced(self, inputs: Sequence[tf.TensorSpec]) -> Any:
        step = tf.TensorSpec([], tf.int64)
        if self._jit:
            compiled = tf.function(self._act, autograph=False, jit_compile=True).get_concrete_function(*inputs, step)
            with contextlib.suppress(tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                compiled(*(tf.zeros(spec.shape, spec.dtype) for spec in inputs), tf.constant(0, tf.int64))
                return compiled
            self._jit = False
        return tf.function(self._act, autograph=False).get_concrete_function(*inputs, step)

    def _numpy_program(self, specs: Sequence[tf.TensorSpec], say: Callable[[str], None]) -> NumpyProgram | None:
        try:
            program = NumpyProgram(self._act, self._tensorflow, specs, jit=self._jit)
            carry = tf.nest.flatten(self.first_carry)
            prove(
                program,
                self._call,
                ([*sampled(self._space, self._num_envs, step), *carry] for step in range(TRIALS)),
            )
        except UnsupportedError as error:
            say(f"acting goes through TensorFlow, which costs up to a millisecond a step: {error}")
            return None
        return program


def _spec(tensor: tf.Tensor) -> tf.TensorSpec:
    return tf.TensorSpec(tensor.shape, tensor.dtype)
