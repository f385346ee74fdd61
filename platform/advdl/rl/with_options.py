"""WithOptions: a wrapper that begins every episode with the same options. Imports no TensorFlow: workers use it too."""

from typing import Any

import gymnasium


class WithOptions(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Gives an env's ``reset`` options, such as the task that a policy was adapted to.

    Args:
        env: The env.
        options: What ``reset`` gets, by name.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], **options: Any) -> None:
        super().__init__(env)
        self._options = options

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins an episode; options that are given go before those of the wrapper."""
        return super().reset(seed=seed, options={**self._options, **(options or {})})
