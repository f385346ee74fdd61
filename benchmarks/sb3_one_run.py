"""One training run on torch, for versus_sb3_direct.py: through advdl, or with stable-baselines3 called directly.

Prints a JSON object: env steps, seconds from the first step to the last (ours with metrics, TensorBoard and checkpoints
in them), CPU seconds, and a hash of the parameters that were learnt.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

ZOO_PPO = {
    "n_steps": 32,
    "batch_size": 256,
    "gae_lambda": 0.8,
    "gamma": 0.98,
    "n_epochs": 20,
    "ent_coef": 0.0,
    "learning_rate": 1e-3,
    "learning_rate_decay": "linear",
    "clip_range": 0.2,
    "clip_range_decay": "linear",
}
ZOO_DQN = {
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
    "units": [256, 256],
}

# The settings of rl-baselines3-zoo, in advdl's words; the last one sees through a backbone of ours on both sides.
CASES: dict[str, dict[str, Any]] = {
    "ppo": {"env": "CartPole-v1", "num": 8, "steps": 40_960, "options": ZOO_PPO},
    "a2c": {"env": "CartPole-v1", "num": 8, "steps": 40_000, "options": {"ent_coef": 0.0}},
    "dqn": {"env": "CartPole-v1", "num": 1, "steps": 30_208, "options": ZOO_DQN},
    "sac": {"env": "Pendulum-v1", "num": 1, "steps": 2_000, "options": {"learning_rate": 1e-3}},
    "td3": {"env": "Pendulum-v1", "num": 1, "steps": 3_000, "options": {"learning_starts": 1_000, "action_noise": 0.1}},
    "ppo+mlp": {"env": "CartPole-v1", "num": 8, "steps": 40_960, "options": ZOO_PPO, "backbone": [64, 64]},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=("ours", "direct"))
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of the case's env steps")
    arguments = parser.parse_args()
    from advdl.training.backend import start_torch

    start_torch()
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    case = CASES[arguments.case]
    steps = int(case["steps"] * arguments.share)
    run = ours if arguments.how == "ours" else directly
    print(json.dumps(run(arguments.case.partition("+")[0], case, steps, arguments.seed)))


def directly(name: str, case: dict[str, Any], steps: int, seed: int) -> dict[str, Any]:
    import numpy as np
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise
    from stable_baselines3.common.utils import LinearSchedule

    options = {key: value for key, value in case["options"].items() if not key.endswith("_decay")}
    for key in case["options"]:
        if key.endswith("_decay"):
            options[key.removesuffix("_decay")] = LinearSchedule(options[key.removesuffix("_decay")], 0.0, 1.0)
    if "action_noise" in options:
        options["action_noise"] = NormalActionNoise(np.zeros(1), np.full(1, options["action_noise"]))
    if "units" in options:
        options["policy_kwargs"] = {"net_arch": options.pop("units")}
    env = make_vec_env(case["env"], n_envs=case["num"], seed=seed)
    if "backbone" in case:
        options["policy_kwargs"] = extractor(env.observation_space, case["backbone"])
    model = getattr(stable_baselines3, name.upper())("MlpPolicy", env, seed=seed, **options)
    began, cpu = time.perf_counter(), time.process_time()
    model.learn(steps)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    learnt = {key: value.numpy(force=True) for key, value in model.policy.named_parameters()}
    return {"steps": model.num_timesteps, "seconds": seconds, "cpu": cpu, "hash": digest(learnt)}


def ours(name: str, case: dict[str, Any], steps: int, seed: int) -> dict[str, Any]:
    from advdl.experiment.config import resolve_experiment
    from advdl.experiment.console import Silent
    from advdl.experiment.own_loop_work import OwnLoopWork
    from advdl.experiment.run_folder import RunFolder
    from advdl.experiment.runner import begin
    from advdl.plugin.host import PluginHost
    from advdl.training.backend import start_backend

    class Clock(Silent):
        """Reads the clocks before the first step and after each stretch of training, the last one included."""

        def __init__(self) -> None:
            super().__init__()
            self.began: tuple[float, float] | None = None
            self.ended = (0.0, 0.0)

        def checkpoint_saved(self) -> None:
            self.began = self.began or (time.perf_counter(), time.process_time())

        def update(self, step: int, *, value: float | None = None) -> None:
            self.ended = (time.perf_counter(), time.process_time())

    settings = {f"agent.{key}": value for key, value in case["options"].items()}
    settings |= {"env.num": case["num"], "evaluation.every": 0, "evaluation.episodes": 1, "evaluation.stop_at": "never"}
    backbone = [f'agent.backbone={{name="mlp", units={case["backbone"]}}}'] if "backbone" in case else []
    host, here, clock = PluginHost.from_environment(), Path.cwd(), Clock()
    learnt: dict[str, Any] = {}
    read = OwnLoopWork.judge

    def judge(work: OwnLoopWork, purpose: str) -> Any:
        learnt.update({key: value.numpy(force=True) for key, value in work.agent.model.policy.named_parameters()})  # type: ignore[attr-defined]
        return read(work, purpose)

    OwnLoopWork.judge = judge  # type: ignore[method-assign]
    experiment = resolve_experiment(
        host,
        command_line={"agent": f"sb3-{name}", "env": case["env"], "steps": steps, "seed": seed, **settings},
        sets=backbone,
        config_file=None,
        environ={},
        folder=here,
        before_import=start_backend,
    )
    outcome = begin(
        experiment,
        lambda: RunFolder.create(here, case["env"], f"sb3-{name}", experiment, ["advdl"]),
        host,
        clock,
    )
    assert clock.began is not None
    seconds, cpu = (after - before for before, after in zip(clock.began, clock.ended, strict=True))
    return {"steps": outcome.step, "seconds": seconds, "cpu": cpu, "hash": digest(learnt)}


def extractor(space: Any, units: list[int]) -> dict[str, Any]:
    from advdl_basics.mlp import MLP
    from advdl_sb3.features import KerasFeatures

    return {
        "features_extractor_class": KerasFeatures,
        "features_extractor_kwargs": {"env_space": space, "backbone": lambda seen: MLP(seen, units=tuple(units))},
        "normalize_images": False,
    }


def digest(arrays: dict[str, Any]) -> str:
    return hashlib.sha256(b"".join(arrays[name].tobytes() for name in sorted(arrays))).hexdigest()[:16]


if __name__ == "__main__":
    main()
