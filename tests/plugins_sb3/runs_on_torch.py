"""Run as a script: whole runs of agents on torch, one of them stopped by a signal and resumed."""

import json
import os
import signal
import sys
from pathlib import Path

SETTINGS = [
    "agent.learning_starts=50",
    "agent.buffer_size=200",
    "agent.batch_size=16",
    "agent.train_freq=4",
    "agent.gradient_steps=1",
    "agent.target_update_interval=50",
    "agent.units=[16]",
    "env.num=2",
    "log.every=50",
    "evaluation.every=200",
    "evaluation.episodes=3",
    "evaluation.stop_at='never'",
]


def main(folder):
    from advdl.experiment.config import resolve_experiment
    from advdl.experiment.console import Silent
    from advdl.experiment.policy import load_policy
    from advdl.experiment.run_folder import RunFolder
    from advdl.experiment.runner import begin, resume
    from advdl.experiment.signals import StoppedError
    from advdl.plugin.host import PluginHost
    from advdl.rl.evaluation import evaluate
    from advdl.training.backend import start_backend
    from advdl.training.checkpoint import CheckpointStore

    class Interrupting(Silent):
        def update(self, step, **figures):
            if step >= 230:
                os.kill(os.getpid(), signal.SIGINT)

    host = PluginHost.from_environment()
    experiment = resolve_experiment(
        host,
        command_line={"agent": "sb3-dqn", "env": "CartPole-v1", "steps": 400, "seed": 1},
        sets=SETTINGS,
        config_file=None,
        environ={},
        folder=folder,
        before_import=start_backend,
    )

    def new(name):
        return RunFolder.create(folder / name, "CartPole-v1", "sb3-dqn", experiment, ["advdl"])

    def final(run):
        return CheckpointStore(run.checkpoints).load(400)

    straight = begin(experiment, lambda: new("straight"), host, Silent())
    stopped = new("stopped")
    try:
        begin(experiment, lambda: stopped, host, Interrupting())
    except StoppedError as error:
        stopped_at = str(error)
    status = stopped.status()
    resume(stopped.path, steps=None, host=host, console=Silent())
    first, second = final(straight.folder), final(stopped)
    act, facts, step = load_policy(stopped, host, "last")
    again = evaluate(act, facts.host_id, episodes=3, seed=0).returns.tolist()
    direct_act, _, _ = load_policy(straight.folder, host, "last")
    report = {
        "stopped_at": stopped_at,
        "status": [status, stopped.status()],
        "unequal": [name for name in first.arrays if not (first.arrays[name] == second.arrays[name]).all()],
        "names": [sorted(first.arrays), sorted(second.arrays)],
        "facts": [timeless_plan(first.meta), timeless_plan(second.meta)],
        "metrics": [timeless(straight.folder.read_metrics()), timeless(stopped.read_metrics())],
        "evaluations": [timeless(straight.folder.read_evaluations()), timeless(stopped.read_evaluations())],
        "policy": [step, again, evaluate(direct_act, facts.host_id, episodes=3, seed=0).returns.tolist()],
        "events": len(list(stopped.path.glob("events.out.*"))),
        "loaded": sorted({"tensorflow", "keras", "torch"} & set(sys.modules)),
        "versions": stopped.record().versions,
    }
    (folder / "report.json").write_text(json.dumps(report))


def timeless_plan(facts):
    return {key: value for key, value in facts.items() if key != "seconds"}


def timeless(lines):
    return [{key: value for key, value in line.items() if not key.startswith("time/")} for line in lines]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
