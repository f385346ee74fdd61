"""Collecting: transitions of an env under a behaviour, by whichever engine an agent would train in."""

import logging
from typing import Any

from numpy.typing import NDArray

from advdl.plugin.host import PluginHost
from advdl.rl.behaviour import Behaviour
from advdl.rl.compiled import CompiledEngine
from advdl.rl.engine import Engine
from advdl.rl.env_factory import EnvFactory
from advdl.rl.env_names import EnvFacts, compiled_twin
from advdl.rl.host_engine import HostEngine
from advdl.rl.host_vector import HostVectorEnv
from advdl.rl.recording import Recording
from advdl.training.trainer import Trainer


def collect(
    facts: EnvFacts, host: PluginHost, behaviour: Behaviour, *, count: int, num_envs: int, seed: int
) -> dict[str, NDArray[Any]]:
    """Collects ``count`` transitions of an env from its first steps on.

    Args:
        facts: Which env.
        host: Knows the compiled envs.
        behaviour: How actions are chosen.
        count: How many transitions.
        num_envs: Copies that are stepped together.
        seed: The same seed gives the same transitions.

    Returns:
        The fields of a transition, each ``[count, ...]``, in the order in which they were made.
    """
    recording = Recording(behaviour.spaces, num_envs=num_envs, capacity=count)
    steps = -(-count // num_envs) * num_envs
    twin = compiled_twin(facts.id, host)
    trainer = Trainer(behaviour, {}, total_updates=1)
    pace: dict[str, Any] = {"total_steps": steps, "seed": seed}
    if twin is not None:
        env = host.build("env", {"name": twin.name})
        engine: Engine = CompiledEngine(env, behaviour, trainer, recording, num_envs=num_envs, **pace)
        return _run(engine, recording, steps, count)
    copies = HostVectorEnv(EnvFactory.of(facts.host_id), num_envs, seed=seed, say=logging.getLogger("advdl").warning)
    say = logging.getLogger("advdl").debug  # how fast actions are found does not matter here
    hosted = HostEngine(copies, behaviour, trainer, recording, jit=False, say=say, **pace)
    try:
        return _run(hosted, recording, steps, count)
    finally:
        hosted.close()


def _run(engine: Engine, recording: Recording, steps: int, count: int) -> dict[str, NDArray[Any]]:
    while engine.env_steps < steps:
        engine.advance(steps)
    return recording.transitions(count)
