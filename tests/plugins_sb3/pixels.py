"""An env of images that costs nothing."""

import gymnasium
import numpy as np


class Pixels(gymnasium.Env):
    """Noise; the first action pays."""

    # Of the class, as in many envs: what one copy draws from it must not change what another draws.
    observation_space = gymnasium.spaces.Box(0, 255, (12, 12, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return self._observation(), {}

    def step(self, action):
        self._steps += 1
        return self._observation(), float(action == 0), self._steps == 7, False, {}

    def _observation(self):
        return self.np_random.integers(0, 256, self.observation_space.shape).astype(np.uint8)
