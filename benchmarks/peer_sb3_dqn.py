"""stable-baselines3's DQN on CartPole-v1 with the hyperparameters of rl-baselines3-zoo; `versus_sb3_dqn.py` starts it.

Prints JSON lines: one when its import is done, one for each evaluation, one at the end.
"""

import argparse
import json
import sys
import time
from typing import Any

BEGAN = time.perf_counter()

ZOO_STEPS = 50_000
ZOO: dict[str, Any] = {  # rl-baselines3-zoo, hyperparams/dqn.yml, CartPole-v1
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "gamma": 0.99,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_final_eps": 0.04,
    "policy_kwargs": {"net_arch": [256, 256]},
}
ZOO_EXPLORATION = 0.16
"""Share of the zoo's 50,000 steps in which epsilon falls; a longer cap must not stretch it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=ZOO_STEPS)
    parser.add_argument("--evaluate-every", type=int, default=0, help="env steps; 0: never")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--target", type=float, default=475.0, help="stop at this mean return")
    parser.add_argument("--threads", type=int, default=0, help="torch's threads; 0: as torch chooses")
    arguments = parser.parse_args()
    # TensorBoard, which stable-baselines3 imports, would import TensorFlow because it is there; its users have none.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    import torch
    from stable_baselines3 import DQN

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    tell(event="imported", seconds=time.perf_counter() - BEGAN, threads=torch.get_num_threads())
    exploration = ZOO_EXPLORATION * ZOO_STEPS / arguments.steps
    model = DQN(
        "MlpPolicy",
        "CartPole-v1",
        seed=arguments.seed,
        device="cpu",
        exploration_fraction=min(exploration, 1.0),
        **ZOO,
    )
    began = time.perf_counter()
    model.learn(arguments.steps, callback=judge(arguments) if arguments.evaluate_every else None)
    seconds = time.perf_counter() - began
    tell(event="learnt", seconds=seconds, steps=model.num_timesteps, updates=model._n_updates)
    return 0


def judge(arguments: argparse.Namespace) -> Any:
    from stable_baselines3.common.callbacks import BaseCallback

    class Judge(BaseCallback):
        """Evaluates on a cadence and ends training at the target."""

        def _on_step(self) -> bool:
            if self.num_timesteps % arguments.evaluate_every:
                return True
            seed = arguments.seed * 1_000_003 + self.num_timesteps
            mean = evaluate(self.model, arguments.episodes, seed)
            tell(event="evaluated", step=self.num_timesteps, mean=mean)
            return mean < float(arguments.target)

    return Judge()


def evaluate(model: Any, episodes: int, seed: int) -> float:
    """Plays all episodes side by side, greedily, on Gymnasium's vectorised CartPole; the first of each copy counts."""
    import gymnasium
    import numpy as np

    env = gymnasium.make_vec("CartPole-v1", episodes, vectorization_mode="vector_entry_point")
    observations, _ = env.reset(seed=seed)
    returns, running = np.zeros(episodes), np.ones(episodes, bool)
    while running.any():
        actions, _ = model.predict(observations, deterministic=True)
        observations, rewards, terminated, truncated, _ = env.step(actions)
        returns += rewards * running
        running &= ~(terminated | truncated)
    env.close()
    return float(returns.mean())


def tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    sys.exit(main())
