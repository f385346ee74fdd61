"""rejax's PPO in gymnax's MinAtar on JAX's CPU backend; `minatar_ppo.py --peer` starts it by another interpreter.

python peer_rejax_ppo.py GAME SEED STEPS

The settings are those of advdl's recipes, but that the rate does not fall and rewards are not scaled; the networks are
two of two layers of 256, one for the policy and one for the values. Neither compilation nor the evaluation at the end
(128 episodes) is timed, as advdl's are not. Prints one JSON object.
rejax 0.1.3 needs a gymnax before 1.0, whose step returns five values.
"""

import json
import sys
import time


def main() -> int:
    game, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    import jax
    from rejax import PPO

    algorithm = PPO.create(
        env=f"{game}-MinAtar",
        total_timesteps=steps,
        eval_freq=steps,
        skip_initial_evaluation=True,
        num_envs=64,
        num_steps=128,
        num_epochs=4,
        num_minibatches=8,
        learning_rate=1e-3,
        gamma=0.99,
        gae_lambda=0.95,
        clip_eps=0.2,
        ent_coef=0.01,
        max_grad_norm=0.5,
        agent_kwargs={"hidden_layer_sizes": (256, 256), "activation": "relu"},
    )
    key = jax.random.PRNGKey(seed)
    trained_only = algorithm.replace(eval_callback=lambda *_: jax.numpy.zeros(()))
    train = jax.jit(trained_only.train).lower(key).compile()
    began = time.perf_counter()
    state, _ = jax.block_until_ready(train(key))
    seconds = time.perf_counter() - began
    _, returns = algorithm.eval_callback(algorithm, state, key)
    print(json.dumps({"return_mean": float(returns.mean()), "steps_per_second": steps / seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
