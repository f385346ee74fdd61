"""rejax's PPO in gymnax's CartPole on JAX's CPU backend; `versus_ppo_compiled.py` starts it by another interpreter.

python peer_rejax_cartpole.py SEED STEPS EVALUATIONS

Prints JSON lines: the imports' seconds, the compilation's, and, when all is done, the training's with the mean return
of every evaluation (128 episodes). rejax 0.1.3 needs a gymnax before 1.0, whose step returns five values.
"""

import json
import sys
import time
from typing import Any

BEGAN = time.perf_counter()

SETTINGS: dict[str, Any] = {
    "num_envs": 32,
    "num_steps": 64,
    "num_epochs": 4,
    "num_minibatches": 4,
    "learning_rate": 2.5e-4,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_eps": 0.2,
    "ent_coef": 0.01,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
}
"""rejax's own settings, but for the networks and what is run side by side."""


def main() -> int:
    seed, steps, evaluations = (int(word) for word in sys.argv[1:4])
    import jax
    from rejax import PPO

    tell(event="imported", seconds=time.perf_counter() - BEGAN)
    algorithm = PPO.create(
        env="CartPole-v1",
        total_timesteps=steps,
        eval_freq=steps // evaluations,
        skip_initial_evaluation=True,
        agent_kwargs={"hidden_layer_sizes": (64, 64), "activation": "tanh"},
        **SETTINGS,
    )
    key = jax.random.PRNGKey(seed)
    began = time.perf_counter()
    train = jax.jit(algorithm.train).lower(key).compile()
    tell(event="compiled", seconds=time.perf_counter() - began)
    began = time.perf_counter()
    _, (_, returns) = jax.block_until_ready(train(key))
    seconds = time.perf_counter() - began
    tell(event="trained", seconds=seconds, steps=steps, returns=[float(each) for each in returns.mean(axis=-1)])
    return 0


def tell(**line: Any) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
