"""RLlib's PPO with so many env runners and learners; `scaling.py` starts it. Prints one JSON line."""

import argparse
import json
import os
import sys
import time
from typing import Any

SETTINGS: dict[str, Any] = {
    "n_steps": 128,
    "batch_size": 256,
    "n_epochs": 4,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "ent_coef": 0.0,
    "learning_rate": 3e-4,
    "clip_range": 0.2,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
}
"""PPO's, for both sides; each loss is the clipped one without a term for the divergence, values are not clipped."""

CASES: dict[str, dict[str, Any]] = {
    "cartpole": {"env": "CartPole-v1", "envs": 16, "units": [64, 64], "arguments": SETTINGS},
    "lander": {"env": "LunarLander-v3", "envs": 16, "units": [64, 64], "arguments": SETTINGS},
    "replicas": {  # little to step and much to update: a network and batches that two devices can share
        "env": "CartPole-v1",
        "envs": 16,
        "units": [512, 512],
        "arguments": {**SETTINGS, "batch_size": 1024, "n_epochs": 8},
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, required=True)
    parser.add_argument("--runners", type=int, default=0, help="env runners; 0: the algorithm's process steps the envs")
    parser.add_argument("--learners", type=int, default=0, help="learners; 0: the algorithm's process updates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=6.0, help="how long it trains after the first iteration")
    given = parser.parse_args()
    # RLlib imports TensorFlow where it is there, in every process of Ray; its users with torch have none.
    os.environ |= {"RLLIB_TEST_NO_TF_IMPORT": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    import ray

    room = given.runners + given.learners + 1
    silent: dict[str, Any] = {"include_dashboard": False, "logging_level": "ERROR", "log_to_driver": False}
    ray.init(address="local", num_cpus=room, _node_ip_address="127.0.0.1", **silent)
    try:
        print(json.dumps({**measured(given), "ray": ray.__version__}))
    finally:
        ray.shutdown()
    return 0


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Trains for so many seconds after a first iteration, in which everything is set up."""
    algorithm = config_of(given).build_algo()
    first = steps_of(algorithm.train())
    began, last = time.perf_counter(), first
    while time.perf_counter() - began < given.seconds:
        last = steps_of(algorithm.train())
    seconds = time.perf_counter() - began
    algorithm.stop()
    return {"steps": last - first, "seconds": seconds}


def steps_of(result: dict[str, Any]) -> int:
    return int(result["env_runners"]["num_env_steps_sampled_lifetime"])


def config_of(given: argparse.Namespace) -> Any:
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

    case = CASES[given.case]
    own, learners = case["arguments"], max(given.learners, 1)
    batch = case["envs"] * own["n_steps"]
    network = DefaultModelConfig(fcnet_hiddens=case["units"], fcnet_activation="tanh", vf_share_layers=False)
    return (
        PPOConfig()
        .environment(case["env"])
        .env_runners(
            num_env_runners=given.runners,
            num_envs_per_env_runner=case["envs"] // max(given.runners, 1),
            rollout_fragment_length=own["n_steps"],
        )
        .learners(num_learners=given.learners, num_cpus_per_learner=1)
        .training(
            train_batch_size_per_learner=batch // learners,
            minibatch_size=own["batch_size"] // learners,
            num_epochs=own["n_epochs"],
            gamma=own["gamma"],
            lambda_=own["gae_lambda"],
            entropy_coeff=own["ent_coef"],
            lr=own["learning_rate"],
            clip_param=own["clip_range"],
            vf_loss_coeff=own["vf_coef"],
            vf_clip_param=float("inf"),
            use_kl_loss=False,
            grad_clip=own["max_grad_norm"],
            grad_clip_by="global_norm",
        )
        .rl_module(model_config=network)
        .debugging(seed=given.seed)
    )


if __name__ == "__main__":
    sys.exit(main())
