"""The sinusoid protocol in advdl, PyTorch and JAX: ``python peer_maml.py NAME`` prints meta-iterations per second.

advdl       advdl's meta-engine
torch-func  torch.func as its own tutorial has it: functional_call, grad, and vmap over the tasks
torch-loop  a loop over the tasks with autograd.grad(create_graph=True), as with higher
learn2learn its MAML class, as its own examples have it: a clone a task, which adapts to the loss
jax         vmap over the tasks, one jitted call a meta-iteration
jax-scan    the same, many meta-iterations in one call
"""

import argparse
import json
import math
import resource
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHOTS, RATE, META_RATE, UNITS = 10, 0.01, 1e-3, 40
Advance = Callable[[int], None]


def advdl(tasks: int, steps: int) -> Advance:
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    import keras

    from advdl.testing import component
    from advdl.training import MetaEngine, Trainer, Tuning
    from advdl.training.devices import limit_threads
    from advdl.training.schedules import as_schedule

    limit_threads(1)  # as the recipe does
    keras.utils.set_random_seed(0)
    family = component("tasks", "sinusoid", shots=SHOTS, queries=SHOTS)()
    learner = component("learner", "regressor", backbone={"name": "mlp", "units": [UNITS, UNITS]})(family.spec)
    adapter = component("adapter", "maml", learning_rate=RATE, steps=steps)(learner)
    optimizer = keras.optimizers.Adam(META_RATE)
    optimizer.build(list(adapter.meta_variables))
    tunings = {"meta": Tuning(optimizer, as_schedule(META_RATE))}
    engine = MetaEngine(family, adapter, Trainer(adapter, tunings, total_updates=10**6), meta_batch=tasks, seed=0)
    engine.build()

    def advance(count: int) -> None:
        until = engine.updates + count
        while engine.updates < until:
            engine.advance(until)

    return advance


def torch_parts(tasks: int) -> tuple[Any, Any, Callable[[], tuple[Any, ...]]]:
    import torch

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(1, UNITS),
        torch.nn.ReLU(),
        torch.nn.Linear(UNITS, UNITS),
        torch.nn.ReLU(),
        torch.nn.Linear(UNITS, 1),
    )
    optimizer = torch.optim.Adam(net.parameters(), META_RATE)

    def draw() -> tuple[Any, ...]:
        amplitude, phase = 0.1 + 4.9 * torch.rand(tasks, 1, 1), math.pi * torch.rand(tasks, 1, 1)
        x = -5 + 10 * torch.rand(tasks, 2 * SHOTS, 1)
        y = amplitude * torch.sin(x - phase)
        return x[:, :SHOTS], y[:, :SHOTS], x[:, SHOTS:], y[:, SHOTS:]

    return net, optimizer, draw


def torch_func(tasks: int, steps: int) -> Advance:
    import torch
    from torch.func import functional_call, grad, vmap

    net, optimizer, draw = torch_parts(tasks)

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        return torch.nn.functional.mse_loss(functional_call(net, parameters, (x,)), y)

    def task_loss(parameters: Any, x: Any, y: Any, query_x: Any, query_y: Any) -> Any:
        for _ in range(steps):
            slopes = grad(loss_of)(parameters, x, y)
            parameters = {name: value - RATE * slopes[name] for name, value in parameters.items()}
        return loss_of(parameters, query_x, query_y)

    def advance(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            losses = vmap(task_loss, in_dims=(None, 0, 0, 0, 0))(dict(net.named_parameters()), *draw())
            losses.mean().backward()
            optimizer.step()

    return advance


def torch_loop(tasks: int, steps: int) -> Advance:
    import torch
    from torch.func import functional_call

    net, optimizer, draw = torch_parts(tasks)
    mse = torch.nn.functional.mse_loss

    def task_loss(x: Any, y: Any, query_x: Any, query_y: Any) -> Any:
        parameters = dict(net.named_parameters())
        for _ in range(steps):
            loss = mse(functional_call(net, parameters, (x,)), y)
            slopes = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
            parameters = {
                name: value - RATE * slope for (name, value), slope in zip(parameters.items(), slopes, strict=True)
            }
        return mse(functional_call(net, parameters, (query_x,)), query_y)

    def advance(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            losses = [task_loss(*task) for task in zip(*draw(), strict=True)]
            torch.stack(losses).mean().backward()
            optimizer.step()

    return advance


def learn2learn(tasks: int, steps: int) -> Advance:
    import torch
    from learn2learn.algorithms.maml import MAML

    net, _, draw = torch_parts(tasks)
    maml, mse = MAML(net, lr=RATE), torch.nn.functional.mse_loss
    optimizer = torch.optim.Adam(maml.parameters(), META_RATE)

    def task_loss(x: Any, y: Any, query_x: Any, query_y: Any) -> Any:
        learner = maml.clone()
        for _ in range(steps):
            learner.adapt(mse(learner(x), y))
        return mse(learner(query_x), query_y)

    def advance(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            (sum(task_loss(*task) for task in zip(*draw(), strict=True)) / tasks).backward()
            optimizer.step()

    return advance


def without_inits(folder: str) -> None:
    """Makes learn2learn importable from its unpacked source without its packages' imports, which need much else."""
    for name in ("learn2learn", "learn2learn.algorithms"):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(folder) / name.replace(".", "/"))]
        sys.modules[name] = package


def jax_parts(tasks: int, steps: int) -> tuple[Any, Callable[[Any], Any]]:
    import jax
    import jax.numpy as jnp
    import optax

    sizes = [(1, UNITS), (UNITS, UNITS), (UNITS, 1)]
    keys = jax.random.split(jax.random.key(0), len(sizes))
    glorot = jax.nn.initializers.glorot_uniform()
    weights = [(glorot(key, size), jnp.zeros(size[1])) for key, size in zip(keys, sizes, strict=True)]
    optimizer = optax.adam(META_RATE)

    def predict(weights: Any, x: Any) -> Any:
        for kernel, bias in weights[:-1]:
            x = jax.nn.relu(x @ kernel + bias)
        return x @ weights[-1][0] + weights[-1][1]

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        return jnp.mean((predict(weights, x) - y) ** 2)

    def task_loss(weights: Any, x: Any, y: Any) -> Any:
        for _ in range(steps):
            slopes = jax.grad(loss_of)(weights, x[:SHOTS], y[:SHOTS])
            weights = jax.tree.map(lambda weight, slope: weight - RATE * slope, weights, slopes)
        return loss_of(weights, x[SHOTS:], y[SHOTS:])

    def meta_loss(weights: Any, key: Any) -> Any:
        first, second, third = jax.random.split(key, 3)
        amplitude = jax.random.uniform(first, (tasks, 1, 1), minval=0.1, maxval=5.0)
        phase = jax.random.uniform(second, (tasks, 1, 1), maxval=math.pi)
        x = jax.random.uniform(third, (tasks, 2 * SHOTS, 1), minval=-5.0, maxval=5.0)
        return jax.vmap(task_loss, in_axes=(None, 0, 0))(weights, x, amplitude * jnp.sin(x - phase)).mean()

    def update(state: Any) -> Any:
        weights, moments, key = state
        key, now = jax.random.split(key)
        slopes = jax.grad(meta_loss)(weights, now)
        changes, moments = optimizer.update(slopes, moments)
        return optax.apply_updates(weights, changes), moments, key

    return (weights, optimizer.init(weights), jax.random.key(1)), update


def jax_calls(tasks: int, steps: int) -> Advance:
    import jax

    state, update = jax_parts(tasks, steps)
    held, program = [state], jax.jit(update, donate_argnums=0)

    def advance(count: int) -> None:
        for _ in range(count):
            held[0] = program(held[0])
        jax.block_until_ready(held[0])

    return advance


def jax_scan(tasks: int, steps: int) -> Advance:
    import jax

    state, update = jax_parts(tasks, steps)
    held = [state]
    program = jax.jit(lambda state, count: jax.lax.fori_loop(0, count, lambda _, now: update(now), state))

    def advance(count: int) -> None:
        held[0] = jax.block_until_ready(program(held[0], count))

    return advance


WAYS = {
    "advdl": advdl,
    "torch-func": torch_func,
    "torch-loop": torch_loop,
    "learn2learn": learn2learn,
    "jax": jax_calls,
    "jax-scan": jax_scan,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=WAYS)
    parser.add_argument("--learn2learn", default="", help="the folder of learn2learn's unpacked source")
    parser.add_argument("--windows", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a window lasts")
    arguments = parser.parse_args()
    if arguments.learn2learn:
        without_inits(arguments.learn2learn)
    began = time.perf_counter()
    advance = WAYS[arguments.name](25, 1)
    advance(1)
    ready = time.perf_counter() - began
    advance(20)  # whatever still warms up
    timed = elapsed(advance, 20) / 20
    count = max(5, int(arguments.seconds / timed))
    advance(count)
    speeds = [count / elapsed(advance, count) for _ in range(arguments.windows)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"per_second": statistics.median(speeds), "windows": speeds, "ready": ready, "peak_mb": peak}))
    return 0


def elapsed(advance: Advance, count: int) -> float:
    began = time.perf_counter()
    advance(count)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
