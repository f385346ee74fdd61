"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl

_LIMIT = {"max_episode_steps": "1000"}  # gymnax's: MinAtar has none, and a good player's episode need not end


def _twin(env_id: str, target: str, summary: str, observation: str, action: str) -> Component:
    """A compiled env that equals Gymnasium's; its spaces are stated so that listing imports nothing."""
    details = {"twin": env_id, "observation": observation, "action": action}
    return Component("env", f"advdl/{env_id}", f"advdl_envs.{target}", summary, details=details)


def _minatar(name: str, target: str, summary: str, channels: int, **details: str) -> Component:
    details |= {"observation": f"Box(10, 10, {channels})", "action": "Discrete(6)"}
    return Component("env", f"advdl/MinAtar-{name}-v0", f"advdl_envs.minatar.{target}", summary, details=details)


COMPONENTS = (
    _twin("CartPole-v1", "cartpole:CartPole", "balance a pole on a cart", "Box(4)", "Discrete(2)"),
    _twin("Acrobot-v1", "acrobot:Acrobot", "swing two links up", "Box(6)", "Discrete(3)"),
    _twin("MountainCar-v0", "mountain_car:MountainCar", "swing a weak car up a hill", "Box(2)", "Discrete(3)"),
    _twin(
        "MountainCarContinuous-v0",
        "mountain_car_continuous:MountainCarContinuous",
        "swing a weak car up a hill, saving energy",
        "Box(2)",
        "Box(1)",
    ),
    _twin("Pendulum-v1", "pendulum:Pendulum", "swing a pendulum up and hold it", "Box(3)", "Box(1)"),
    Component(
        "env",
        "advdl/Navigation-v0",
        "advdl_envs.navigation:Navigation",
        "walk to a goal that is not shown (MAML's point robot)",
        details={"observation": "Box(2)", "action": "Box(2)", "max_episode_steps": "100"},
    ),
    Component(
        "env",
        "advdl/Bandit-v0",
        "advdl_envs.bandit:Bandit",
        "pull arms whose means are not shown",
        details={"observation": "Box(10)", "action": "Discrete(5)", "max_episode_steps": "10"},
    ),
    Component(
        "env",
        "advdl/Catch-v0",
        "advdl_envs.catch:Catch",
        "be under the ball that falls (bsuite's)",
        details={"observation": "Box(10, 5, 1)", "action": "Discrete(3)", "reward_threshold": "0.95"},
    ),
    _minatar("Asterix", "asterix:Asterix", "collect treasure, evade enemies", 4, **_LIMIT),
    _minatar("Breakout", "breakout:Breakout", "break bricks with a ball", 4, **_LIMIT),
    _minatar("Freeway", "freeway:Freeway", "cross a road of eight lanes", 7),
    _minatar("Seaquest", "seaquest:Seaquest", "shoot fish, rescue divers, mind the oxygen", 10, **_LIMIT),
    _minatar("SpaceInvaders", "space_invaders:SpaceInvaders", "shoot aliens", 6, **_LIMIT),
)


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers this plugin's components."""
    return COMPONENTS
