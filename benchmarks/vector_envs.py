"""How much of a vector library's speed is left when our engine steps it?

For each case the bare library is stepped with random actions in a loop of nothing else, and our host engine steps the
same library's env with a random agent: window by window in turns, in one process a case. Counted is

- `stepping`: what the engine spends in stepping (checks, new episodes, episode statistics) and in staging each step;
- `all`: everything: drawing actions, stepping, staging, and storing transitions in TensorFlow's memory.

    python benchmarks/vector_envs.py

needs `advdl[atari,envpool,mujoco]`. EnvPool and ALE have threads of their own: `--threads` says how many.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import Report, Row, arguments_parser, child, say, spread, workplace

WITHIN = 0.10


@dataclass(frozen=True)
class Case:
    """What is stepped: by whom, which env, and how many steps of all copies a window has."""

    vector: str
    env: str
    steps: int
    threads: bool = True


CASES = {
    "envpool-cartpole": Case("envpool", "CartPole-v1", 8_000),
    "envpool-halfcheetah": Case("envpool", "HalfCheetah-v5", 1_500),
    "envpool-pong": Case("envpool", "ALE/Pong-v5", 300),
    "ale-pong": Case("gymnasium", "ALE/Pong-v5", 300),
    "gymnasium-cartpole": Case("gymnasium", "CartPole-v1", 8_000, threads=False),
}

PROMISED = ("envpool-cartpole", "envpool-halfcheetah", "envpool-pong", "ale-pong")
"""Gymnasium's own is written in NumPy and does 8 copies in the time that anything costs in Python: only shown."""


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--envs", type=int, default=8, help="copies")
    parser.add_argument("--repeats", type=int, default=5, help="windows of each, in turns")
    parser.add_argument("--threads", type=int, default=1, help="of EnvPool and ALE")
    parser.add_argument("--child", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps({"rows": measure(arguments)}))
        return 0
    with workplace() as folder:
        rows = [row for name in arguments.cases for row in one(arguments, name, folder)]
    return report(arguments, rows).emit(as_json=arguments.json)


def one(arguments: argparse.Namespace, name: str, folder: Path) -> list[Row]:
    numbers = ("envs", "repeats", "threads")
    options = [word for number in numbers for word in (f"--{number}", str(getattr(arguments, number)))]
    rows: list[Row] = child([__file__, "--child", name, *options], folder / name, folder / "cache")["rows"]
    for row in rows:
        say(", ".join(f"{key} {value:,.0f}" if isinstance(value, float) else str(value) for key, value in row.items()))
    return rows


def measure(arguments: argparse.Namespace) -> list[Row]:
    import numpy as np

    from advdl.plugin.host import PluginHost
    from advdl.rl.env_names import resolve_env_id
    from advdl.rl.native_steppers import make_stepper
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    case = CASES[arguments.child]
    env_id = resolve_env_id(case.env, PluginHost.from_environment())
    options = {"num_threads": arguments.threads} if case.threads else {}
    stepper = make_stepper(case.vector, env_id, arguments.envs, options)
    engine, stopwatch = engine_of(stepper, env_id, arguments.envs)
    library = bare_library(case, env_id, arguments.envs, options)
    space = np.random.default_rng(0)
    actions = [drawn(space, stepper.action_space, arguments.envs) for _ in range(case.steps)]
    steps = case.steps * arguments.envs
    rows = []
    for repeat in range(arguments.repeats + 1):  # the first window warms both up
        bare = steps / stepped(library, actions)
        before, began = stopwatch.read(), time.perf_counter()
        until = engine.env_steps + steps
        while engine.env_steps < until:
            engine.advance(until)
        wall = time.perf_counter() - began
        spent = {name: stopwatch.read()[name] - before.get(name, 0.0) for name in ("env", "stage")}
        rows.append(
            {
                "case": arguments.child,
                "repeat": repeat,
                "bare": bare,
                "stepping": steps / sum(spent.values()),
                "all": steps / wall,
            }
        )
    return rows[1:]


def engine_of(stepper: Any, env_id: str, envs: int) -> Any:
    from advdl.rl.behaviour import Behaviour
    from advdl.rl.host_engine import HostEngine
    from advdl.rl.native_vector import NativeVectorEnv
    from advdl.rl.recording import Recording
    from advdl.rl.spaces import Spaces
    from advdl.training.stopwatch import Stopwatch
    from advdl.training.trainer import Trainer

    spaces = Spaces(stepper.observation_space, stepper.action_space)
    env = NativeVectorEnv(stepper, spaces, env_id=env_id, num_envs=envs, bounds="ignore", say=say)
    agent, stopwatch = Behaviour(spaces), Stopwatch()
    source = Recording(spaces, num_envs=envs, capacity=1_000)
    trainer = Trainer(agent, {}, total_updates=1)
    pace: dict[str, Any] = {"total_steps": 10**9, "seed": 0, "jit": False, "say": say}
    return HostEngine(env, agent, trainer, source, stopwatch=stopwatch, **pace), stopwatch


def bare_library(case: Case, env_id: str, envs: int, options: dict[str, Any]) -> Any:
    if case.vector == "envpool":
        import envpool

        env = envpool.make(env_id.rpartition("/")[2], "gymnasium", num_envs=envs, seed=0, **options)
        env.reset()
        return env
    import gymnasium

    env = gymnasium.make_vec(env_id, envs, vectorization_mode="vector_entry_point", **options)
    env.reset(seed=0)
    return env


def drawn(generator: Any, space: Any, envs: int) -> Any:
    import gymnasium
    import numpy as np

    if isinstance(space, gymnasium.spaces.Discrete):
        return generator.integers(0, space.n, envs)
    return generator.uniform(space.low, space.high, (envs, *space.shape)).astype(np.float32)


def stepped(env: Any, actions: list[Any]) -> float:
    """Steps a library's env as it wants to be, new episodes by itself; returns seconds."""
    began = time.perf_counter()
    for action in actions:
        env.step(action)
    return time.perf_counter() - began


def report(arguments: argparse.Namespace, rows: list[Row]) -> Report:
    summary, verdicts = [], []
    for name in arguments.cases:
        mine = [row for row in rows if row["case"] == name]
        middle = {key: spread([row[key] for row in mine])["median"] for key in ("bare", "stepping", "all")}
        share = middle["stepping"] / middle["bare"]
        summary.append({"case": name, **middle, "stepping_share": share, "all_share": middle["all"] / middle["bare"]})
        if name in PROMISED:
            claim = f"{name}: our engine steps at {share:.0%} of the bare library's rate, at least {1 - WITHIN:.0%}"
            verdicts.append((claim, share >= 1.0 - WITHIN))
    return Report(
        title="Stepping vector libraries through the host engine, env steps per second",
        settings={"envs": arguments.envs, "threads": arguments.threads, "repeats": arguments.repeats},
        load=arguments.load,
        rows=rows,
        summary=summary,
        verdicts=verdicts,
        peers=("envpool", "ale-py"),
        notes=[
            "bare: the library alone; it begins new episodes with the step after, so a few of its steps are resets",
            "stepping: what our engine spends in stepping and staging; all: with actions drawn and transitions stored",
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
