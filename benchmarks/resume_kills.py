"""Is a run that was killed again and again the same, bit for bit, as the run that never was?

Trains an agent twice from one seed: by default DQN on CartPole, recipe and all, in the compiled engine. One run is
left alone. The other is killed with SIGKILL at random moments along its whole length (also while it starts, evaluates
and saves) and resumed each time; then it ends in peace. Compared: every tensor of the last and of the best checkpoint
(variables, optimizer slots, target network, replay, live envs, counters), the plan saved with them, every line of
`metrics.jsonl` but the times in it, and every line of `evaluations.jsonl`.

With `--engine host` the env is any of Gymnasium's, in Python; it is brought back by playing its episode again. Networks
are smaller then and updates fewer, so that 20 kills take about ten minutes, half of it start-up. Every kill is said as
it happens. An env that cannot be brought back to where it was counts as a difference:

    python benchmarks/resume_kills.py --engine host --env CartPole-v1 --kills 20 --steps 64000
    python benchmarks/resume_kills.py --engine host --env LunarLander-v3 --kills 20 --steps 64000
    python benchmarks/resume_kills.py --engine host --env HalfCheetah-v5 --agent ppo --kills 20 --steps 64000

The killing is that of the tests, `tests/experiment/kill_harness.py`.
"""

import argparse
import signal
import sys
from pathlib import Path

from measure import ROOT, Report, Row, arguments_parser, say, spread, workplace

sys.path.insert(0, str(ROOT / "tests" / "experiment"))
from kill_harness import Harness, Stop, differences  # type: ignore[import-not-found]

Claim = tuple[str, bool]

SETTINGS = {
    "checkpoint.every_seconds": "0.2",
    "checkpoint.max_share": "1.0",
    "evaluation.every": "8000",
    "evaluation.episodes": "20",
    "evaluation.stop_at": "never",
    "log.every": "160",
}

OF_THE_AGENT = {
    "dqn": {"agent.buffer_size": "20000"},  # the ring comes round, and saves are quick
    "ppo": {"agent.horizon": "64", "agent.backbone.units": "[64, 64]"},
}

ON_THE_HOST = {
    "engine": "host",
    "env.num": "8",
    "env.bounds": "ignore",
    "evaluation.every": "16000",
    "evaluation.episodes": "3",
    "log.every": "320",
}

OF_THE_AGENT_ON_THE_HOST = {
    "dqn": {"agent.backbone.units": "[64, 64]", "agent.batch_size": "32", "agent.train_every": "64"},
    "ppo": {"agent.epochs": "4", "agent.batch_size": "128"},
}


def settings_of(arguments: argparse.Namespace) -> dict[str, str]:
    agent = {"agent.name": arguments.agent, **OF_THE_AGENT.get(arguments.agent, {})}
    if arguments.engine == "host":
        return {**SETTINGS, **ON_THE_HOST, **agent, **OF_THE_AGENT_ON_THE_HOST.get(arguments.agent, {})}
    return {**SETTINGS, "engine": arguments.engine, **agent}


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0")
    parser.add_argument("--kills", type=int, default=30, help="for each seed")
    parser.add_argument("--steps", type=int, default=64_000, help="env steps of each run")
    parser.add_argument("--env", default="CartPole")
    parser.add_argument("--agent", default="dqn")
    parser.add_argument("--engine", choices=("compiled", "host"), default="compiled")
    arguments = parser.parse_args()
    rows: list[Row] = []
    claims: list[Claim] = []
    with workplace() as folder:
        for seed in arguments.seeds:
            kills, more = one(arguments, seed, folder / f"{seed}")
            rows, claims = rows + kills, claims + more
    return report(arguments, rows, claims).emit(as_json=arguments.json)


def one(arguments: argparse.Namespace, seed: int, folder: Path) -> tuple[list[Row], list[Claim]]:
    harness = Harness(folder, settings=settings_of(arguments), steps=arguments.steps, seed=seed, env=arguments.env)
    whole = harness.undisturbed()
    say(f"seed {seed}: the run that is left alone is done")
    killed = harness.stopped([signal.SIGKILL] * arguments.kills, seed=seed, told=said)
    rows = [
        {
            "seed": seed,
            "kill": number,
            "after_seconds": stop.seconds,
            "metrics_lines": stop.lines,
            "exit_code": stop.exit_code,
        }
        for number, stop in enumerate(killed.stops, start=1)
    ]
    landed = sum(row["exit_code"] == -signal.SIGKILL for row in rows)
    found = differences(whole, killed.folder)
    found += ["an env could not be brought back"] * any("brought back" in output for output in killed.outputs)
    return rows, [
        (f"seed {seed}: {landed} of {arguments.kills} kills found it alive", landed == arguments.kills),
        (f"seed {seed}: last checkpoint, metrics and evaluations: {len(found)} differences {found[:3]}", not found),
        best_checkpoints(whole, killed.folder, seed),
    ]


def said(stop: Stop) -> None:
    say(f"killed after {stop.seconds:.1f} s at {stop.lines} lines of metrics: exit code {stop.exit_code}")


def best_checkpoints(whole: Path, killed: Path, seed: int) -> Claim:
    from advdl.training.checkpoint import CheckpointStore

    ours, theirs = CheckpointStore(whole / "checkpoints"), CheckpointStore(killed / "checkpoints")
    step, other = ours.best(), theirs.best()
    if step is None or step != other:
        return f"seed {seed}: the best checkpoints are of step {step} and of step {other}", False
    left, right = ours.read(step), theirs.read(step)
    unlike = [name for name in left if name not in right or left[name].tobytes() != right[name].tobytes()]
    metas = [{**store.meta(step), "seconds": None} for store in (ours, theirs)]  # the clock is not the same
    same = not unlike and left.keys() == right.keys() and metas[0] == metas[1]
    return f"seed {seed}: best checkpoint, step {step:,}: {len(left)} tensors, {len(unlike)} differ", same


def report(arguments: argparse.Namespace, rows: list[Row], claims: list[Claim]) -> Report:
    return Report(
        title="SIGKILL at random moments, resumed each time: bit for bit the run that was left alone",
        settings={
            "env": arguments.env,
            "seeds": arguments.seeds,
            "kills": arguments.kills,
            "steps": arguments.steps,
            **settings_of(arguments),
        },
        load=arguments.load,
        rows=rows,
        summary=[
            {"figure": name, **spread([row[name] for row in rows])} for name in ("after_seconds", "metrics_lines")
        ],
        verdicts=claims,
        notes=["metrics lines: how far along the run was; 0 to steps / log.every. Exit code -9: killed"],
    )


if __name__ == "__main__":
    sys.exit(main())
