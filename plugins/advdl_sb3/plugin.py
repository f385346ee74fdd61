"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl

_ALGORITHMS = (
    ("ppo", "SB3PPO", "PPO of stable-baselines3 (Schulman 2017)"),
    ("a2c", "SB3A2C", "A2C of stable-baselines3 (Mnih 2016)"),
    ("dqn", "SB3DQN", "DQN of stable-baselines3 (Mnih 2015)"),
    ("sac", "SB3SAC", "soft actor-critic of stable-baselines3 (Haarnoja 2018)"),
    ("td3", "SB3TD3", "twin delayed DDPG of stable-baselines3 (Fujimoto 2018)"),
)
_CONTRIB = (
    ("crossq", "SB3CrossQ", "CrossQ of sb3-contrib (Bhatt 2019)"),
    ("qrdqn", "SB3QRDQN", "quantile-regression DQN of sb3-contrib (Dabney 2017)"),
    ("tqc", "SB3TQC", "truncated quantile critics of sb3-contrib (Kuznetsov 2020)"),
    ("trpo", "SB3TRPO", "trust region policy optimization of sb3-contrib (Schulman 2015)"),
)


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers stable-baselines3's agents, and those of sb3-contrib."""
    own = [_component(*algorithm, requires=("torch", "stable_baselines3")) for algorithm in _ALGORITHMS]
    contrib = ("torch", "stable_baselines3", "sb3_contrib")
    return own + [_component(*algorithm, requires=contrib) for algorithm in _CONTRIB]


def _component(name: str, target: str, summary: str, *, requires: tuple[str, ...]) -> Component:
    return Component(
        "agent",
        f"sb3-{name}",
        f"advdl_sb3.{name}:{target}",
        summary,
        requires=requires,
        extra="advdl[sb3]",
        recipes=f"advdl_sb3.recipes.{name}",
        details={"backend": "torch", "loop": "own"},
    )
