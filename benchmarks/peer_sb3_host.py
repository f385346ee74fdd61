"""stable-baselines3's PPO and DQN on Gymnasium's envs; `versus_sb3_host.py` starts it. Prints one JSON line."""

import argparse
import sys
import time
from typing import Any

from peer_sb3_dqn import judge, tell

CASES: dict[str, dict[str, Any]] = {
    "ppo": {  # rl-baselines3-zoo, hyperparams/ppo.yml, CartPole-v1
        "env": "CartPole-v1",
        "envs": 8,
        "steps": 100_000,
        "arguments": {
            "n_steps": 32,
            "batch_size": 256,
            "n_epochs": 20,
            "gamma": 0.98,
            "gae_lambda": 0.8,
            "ent_coef": 0.0,
        },
        "falling": {"learning_rate": 1e-3, "clip_range": 0.2},
    },
    "dqn": {  # rl-baselines3-zoo, hyperparams/dqn.yml, CartPole-v1
        "env": "CartPole-v1",
        "envs": 1,
        "steps": 50_000,
        "arguments": {
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
            "policy_kwargs": {"net_arch": [256, 256]},
        },
        "falling": {},
    },
    "mujoco": {  # the zoo's HalfCheetah-v4, without the normalisation, which lives elsewhere in either library
        "env": "HalfCheetah-v5",
        "envs": 1,
        "steps": 20_480,
        "arguments": {
            "n_steps": 512,
            "batch_size": 64,
            "n_epochs": 20,
            "gamma": 0.98,
            "gae_lambda": 0.92,
            "ent_coef": 0.000401762,
            "learning_rate": 2.0633e-05,
            "clip_range": 0.1,
            "max_grad_norm": 0.8,
            "vf_coef": 0.58096,
            "policy_kwargs": {"net_arch": [256, 256], "log_std_init": -2.0, "ortho_init": False},
        },
        "falling": {},
    },
    "atari": {  # the zoo's Atari games
        "env": "ALE/Pong-v5",
        "envs": 8,
        "steps": 10_240,
        "policy": "CnnPolicy",
        "arguments": {"n_steps": 128, "batch_size": 256, "n_epochs": 4, "ent_coef": 0.01, "vf_coef": 0.5},
        "falling": {"learning_rate": 2.5e-4, "clip_range": 0.1},
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--evaluate-every", type=int, default=0, help="env steps; 0: never")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--target", type=float, default=475.0, help="stop at this mean return")
    parser.add_argument("--threads", type=int, default=0, help="torch's threads; 0: as torch chooses")
    arguments = parser.parse_args()
    # TensorBoard, which stable-baselines3 imports, would import TensorFlow because it is there; its users have none.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    import torch
    from stable_baselines3 import DQN, PPO

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    case = CASES[arguments.case]
    env = envs(case, arguments.seed)
    falling = {name: (lambda left, start=start: start * left) for name, start in case["falling"].items()}
    kind = DQN if arguments.case == "dqn" else PPO
    model = kind(
        case.get("policy", "MlpPolicy"), env, seed=arguments.seed, device="cpu", **case["arguments"], **falling
    )
    began = time.perf_counter()
    model.learn(arguments.steps, callback=judge(arguments) if arguments.evaluate_every else None)
    tell(event="learnt", seconds=time.perf_counter() - began, steps=model.num_timesteps)
    return 0


def envs(case: dict[str, Any], seed: int) -> Any:
    from stable_baselines3.common.env_util import make_atari_env, make_vec_env
    from stable_baselines3.common.vec_env import VecFrameStack

    if not case["env"].startswith("ALE/"):
        return make_vec_env(case["env"], n_envs=case["envs"], seed=seed)
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    options = {"frameskip": 1, "repeat_action_probability": 0.0}
    return VecFrameStack(make_atari_env(case["env"], n_envs=case["envs"], seed=seed, env_kwargs=options), n_stack=4)


if __name__ == "__main__":
    sys.exit(main())
