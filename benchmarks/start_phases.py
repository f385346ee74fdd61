"""Where the first seconds of a training go: imports, tracing, compiling, the first steps; one process.

`versus_sb3_dqn.py --part start` starts it with an empty and with a filled compile cache; by itself it takes
the user's cache. Prints JSON: seconds by phase. The phases are those of `advdl agent train --env CartPole`.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path


class Watch:
    """Gives the seconds since it was last asked."""

    def __init__(self, began: float) -> None:
        self.seconds: dict[str, float] = {}
        self._last = began

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--began", type=float, default=time.perf_counter(), help="time.perf_counter() at launch")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    watch = Watch(arguments.began)
    with tempfile.TemporaryDirectory() as folder:
        phases(watch, arguments.seed, Path(folder))
    print(json.dumps(watch.seconds))
    return 0


def phases(watch: Watch, seed: int, folder: Path) -> None:
    from advdl.experiment.config import resolve_experiment
    from advdl.plugin.host import PluginHost
    from advdl.training.backend import start_tensorflow

    host = PluginHost.from_environment()
    watch.lap("python_and_plugins")
    start_tensorflow()
    watch.lap("import_tensorflow_and_keras")
    experiment = resolve_experiment(
        host,
        command_line={"env": "CartPole-v1", "seed": seed},
        sets=[],
        config_file=None,
        environ={},
        folder=folder,
    )
    watch.lap("settings")
    from advdl.experiment.build import build_training
    from advdl.rl.evaluation import evaluate
    from advdl.rl.policy import HostPolicy
    from advdl.rl.spaces import Spaces
    from advdl.training.checkpoint import CheckpointStore

    training = build_training(experiment, host)
    watch.lap("build")
    engine = training.engine
    engine.build()
    watch.lap("trace")
    CheckpointStore(folder / "checkpoints").save(0, engine.state(), {})
    watch.lap("first_checkpoint")
    engine.advance(engine.env_steps + 1)
    watch.lap("compile_and_first_step")
    while engine.env_steps < 5_000:
        engine.advance(5_000)
    watch.lap("to_5000_env_steps")
    act = HostPolicy(training.agent, Spaces(training.facts.observation, training.facts.action))
    evaluate(act.at_present(), training.facts.host_id, episodes=100, seed=seed)
    watch.lap("first_evaluation")


if __name__ == "__main__":
    sys.exit(main())
