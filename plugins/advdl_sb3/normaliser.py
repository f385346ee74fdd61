"""The running statistics of ``VecNormalize`` as arrays, both ways."""

from collections.abc import Mapping

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from advdl.errors import UsageError
from advdl.training.tensors import Array


def normaliser_arrays(model: BaseAlgorithm) -> dict[str, Array]:
    """Returns the statistics, without which a policy is worth nothing; empty where nothing is normalised."""
    normaliser = model.get_vec_normalize_env()
    if normaliser is None:
        return {}
    arrays = {"normaliser/returns": np.array(normaliser.returns)}
    for name, statistics in _statistics(normaliser).items():
        arrays[f"normaliser/{name}/mean"] = np.array(statistics.mean)
        arrays[f"normaliser/{name}/var"] = np.array(statistics.var)
        arrays[f"normaliser/{name}/count"] = np.array(statistics.count, np.float64)
    return arrays


def restore_normaliser(model: BaseAlgorithm, arrays: Mapping[str, Array]) -> None:
    """Takes the statistics back.

    Raises:
        UsageError: Only one of the two normalises.
    """
    normaliser = model.get_vec_normalize_env()
    if arrays.keys() != normaliser_arrays(model).keys():
        raise UsageError("the checkpoint does not fit this agent: only one of them normalises")
    if normaliser is None:
        return
    if normaliser.returns.shape == arrays["normaliser/returns"].shape:
        normaliser.returns = np.array(arrays["normaliser/returns"])
    for name, statistics in _statistics(normaliser).items():
        statistics.mean = np.array(arrays[f"normaliser/{name}/mean"])
        statistics.var = np.array(arrays[f"normaliser/{name}/var"])
        statistics.count = float(arrays[f"normaliser/{name}/count"])


def _statistics(normaliser: VecNormalize) -> dict[str, RunningMeanStd]:
    found: dict[str, RunningMeanStd] = {"returns": normaliser.ret_rms}
    if not normaliser.norm_obs:
        return found
    if isinstance(normaliser.observation_space, spaces.Dict):
        return found | {f"observation/{key}": each for key, each in normaliser.obs_rms.items()}
    return found | {"observation": normaliser.obs_rms}
