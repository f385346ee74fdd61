"""The regressor keeps the contract of learners, and refuses what is no vector."""

import gymnasium
import numpy as np
import pytest

from advdl.errors import UsageError
from advdl.testing import check_learner, component
from advdl.training import DataSpec


def test_the_regressor_keeps_its_contract() -> None:
    check_learner(component("learner", "regressor"))


def test_classes_are_refused() -> None:
    line = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
    with pytest.raises(UsageError, match="regressor needs a Box to predict, not Discrete"):
        component("learner", "regressor")(DataSpec(line, gymnasium.spaces.Discrete(3)))
