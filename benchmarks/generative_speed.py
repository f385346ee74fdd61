"""What does a training step of a VAE, a GAN and a diffusion model take, and a step in a learnt world?

Training: images of 28 x 28 bytes; the VAE of keras.io's example in batches of 128, DCGAN of TensorFlow's tutorial in
batches of 64, a U-Net in batches of 32; Adam. `ours` is what `advdl model train` runs, with trainer.jit=auto; `keras`
the documented code under `fit`; `torch` our network in PyTorch, written by hand. Each is a process of its own; they
take turns, round after round. Claim: ours takes no longer than the faster of the others.

Worlds: each family with its recipe for transitions, fitted to random CartPole, is stepped with random actions by the
compiled engine, in so many copies, beside the compiled CartPole itself.

Needs the extra: pip install 'advdl[sb3]' for torch
"""

import argparse
import statistics
import sys
import time
from typing import Any

from measure import Report, Row, arguments_parser, say
from peer_generative_speed import BATCHES, CONTESTANTS, SHAPE, tunings
from turns import Process

STEPS = {"vae": 60, "gan": 6, "diffusion": 12}
COPIES = (16, 256, 4096)
WORLDS: dict[str, dict[str, Any]] = {
    "vae": {"latent": 4, "units": [128, 128]},
    "gan": {"units": [128, 128], "noise": 8, "dropout": 0.0},
    "diffusion": {"width": 128, "depth": 3, "steps": 3, "sigma_max": 10.0, "solver": "trig-heun"},
}
TRANSITIONS, FITS, SECONDS = 1_000, 300, 1.0
PEER = "peer_generative_speed.py"


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-4")
    parser.add_argument("--families", nargs="+", choices=STEPS, default=list(STEPS), help="all when left out")
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--part", choices=("all", "training", "worlds"), default="all")
    arguments = parser.parse_args()
    rows: list[Row] = []
    facts: Row = {}
    for family in arguments.families if arguments.part != "worlds" else ():
        found, facts[family] = rounds(family, arguments)
        rows += found
    worlds = stepped(arguments.families) if arguments.part != "training" else []
    return report(rows, facts, worlds, arguments).emit(as_json=arguments.json)


def rounds(family: str, arguments: argparse.Namespace) -> tuple[list[Row], Row]:
    contestants = {name: Process(PEER, name, family) for name in arguments.contestants}
    facts = {name: process.facts for name, process in contestants.items()}
    say(f"{family}: {facts}")
    rows = []
    for number in arguments.seeds:
        order = list(contestants) if number % 2 else list(contestants)[::-1]
        times = {name: contestants[name].milliseconds(STEPS[family]) for name in order}
        rows.append({"family": family, "round": number, **{f"{name}_ms": times[name] for name in contestants}})
        say(str(rows[-1]))
    for process in contestants.values():
        process.close()
    return rows, facts


def stepped(families: list[str]) -> list[Row]:
    """Steps the worlds, and the env that they are models of."""
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    from advdl.plugin.host import PluginHost
    from advdl.rl import Spaces
    from advdl.rl.behaviour import Behaviour

    host = PluginHost.from_environment()
    real: Any = host.build("env", {"name": "advdl/CartPole-v1"})
    spaces = Spaces(real.observation_space, real.action_space)
    transitions = seen(real, Behaviour(spaces))
    envs = {"CartPole itself": real} | {family: world(family, spaces, transitions) for family in families}
    return [
        {"world": name, **{f"{copies}_copies": speed(env, spaces, copies) for copies in COPIES}}
        for name, env in envs.items()
    ]


def engine_of(env: Any, spaces: Any, copies: int, kept: int) -> tuple[Any, Any]:
    from advdl.rl.behaviour import Behaviour
    from advdl.rl.compiled import CompiledEngine
    from advdl.rl.recording import Recording
    from advdl.training import Trainer

    behaviour = Behaviour(spaces)
    recording = Recording(spaces, num_envs=copies, capacity=kept)
    trainer = Trainer(behaviour, {}, total_updates=1)
    return CompiledEngine(env, behaviour, trainer, recording, num_envs=copies, total_steps=10**9, seed=0), recording


def seen(env: Any, behaviour: Any) -> dict[str, Any]:
    engine, recording = engine_of(env, behaviour.spaces, 10, TRANSITIONS)
    while engine.env_steps < TRANSITIONS:
        engine.advance(TRANSITIONS)
    transitions: dict[str, Any] = recording.transitions(TRANSITIONS)
    return transitions


def world(family: str, spaces: Any, transitions: dict[str, Any]) -> Any:
    """Fits a model for as long as it takes for episodes of some length."""
    from advdl.plugin.host import PluginHost
    from advdl.rl import TransitionCodec, WorldModel
    from advdl.training import Dataset, Trainer
    from advdl.training.batches import DataBatches
    from advdl.training.update_engine import UpdateEngine

    codec = TransitionCodec(spaces)
    sampler = PluginHost.from_environment().build("sampler", {"name": family, **WORLDS[family]}, codec.outcome_spec)
    encoded = codec.encode(transitions)
    sampler.adapt(encoded)
    data = Dataset(encoded["x"].numpy(), encoded["c"].numpy(), sampler.spec)
    trainer = Trainer(sampler, tunings(sampler), total_updates=FITS)
    engine = UpdateEngine(DataBatches(data, batch_size=256, seed=0), trainer, seed=0)
    while engine.updates < FITS:
        engine.advance(FITS)
    return WorldModel([sampler], spaces, transitions, horizon=None)


def speed(env: Any, spaces: Any, copies: int) -> float:
    """Returns env steps a second, the best of three."""
    engine, _ = engine_of(env, spaces, copies, copies * 4)
    found = []
    for _ in range(4):  # the first compiles, and learns how many steps fit into a call
        before, began = engine.env_steps, time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            engine.advance(engine.env_steps + 10**7)
        found.append((engine.env_steps - before) / (time.perf_counter() - began))
    return max(found[1:])


def report(rows: list[Row], facts: Row, worlds: list[Row], arguments: argparse.Namespace) -> Report:
    summary, verdicts = [], []
    for family in facts:
        own = [row for row in rows if row["family"] == family]
        medians = {name: statistics.median(row[f"{name}_ms"] for row in own) for name in arguments.contestants}
        others = [value for name, value in medians.items() if name != "ours"]
        line = {"family": family, **{f"{name}_steps_per_second": 1e3 / value for name, value in medians.items()}}
        if "ours" in medians and others:
            line["times_the_faster"] = min(others) / medians["ours"]
            claim = f"{family}: {line['times_the_faster']:.2f} times the speed of the faster of the others"
            verdicts.append((claim, line["times_the_faster"] >= 1))
        summary.append(line)
    said = [
        f"{family}, {name}: {fact['parameters']:,} parameters; {fact['said']}"
        for family, found in facts.items()
        for name, fact in found.items()
    ]
    said += [f"env steps a second: {line}" for line in worlds]
    return Report(
        title="Generative models: a training step, and a step in a learnt world",
        settings={"batches": str(BATCHES), "image": " x ".join(map(str, SHAPE)), "steps_a_turn": str(STEPS)},
        load=arguments.load,
        rows=rows or worlds,
        summary=summary,
        verdicts=verdicts,
        notes=["medians of the rounds; compilation and warming up not counted", *said],
        peers=("torch",),
    )


if __name__ == "__main__":
    sys.exit(main())
