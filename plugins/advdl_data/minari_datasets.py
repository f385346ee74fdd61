"""Minari's data sets: recorded episodes of an env."""

from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge
from gymnasium import spaces
from numpy.typing import NDArray

from advdl.errors import CorruptError, UsageError
from advdl.rl import Spaces, TransitionCodec
from advdl.training import Data, Dataset


class MinariDatasets(Data):
    """Transitions of a data set that Minari has on this machine; nothing is downloaded.

    x is what follows (the change of the observation, the reward, 1 where the episode terminated), c is what it follows
    on. Or x is the whole transition, or what is seen alone, and there is no c.

    Args:
        dataset: Its id, such as D4RL/pointmaze/umaze-v2.
        transitions: How many, from the first episode on; 0 for all.
        sample: What a sample is: an ``outcome`` given what it follows on, a whole ``transition``, or an
            ``observation`` alone.
    """

    def __init__(
        self,
        *,
        dataset: str,
        transitions: Annotated[int, Ge(0)] = 0,
        sample: Literal["outcome", "transition", "observation"] = "outcome",
    ) -> None:
        self._id, self._count, self._sample = dataset, transitions, sample

    def load(self) -> Dataset:
        """Reads the episodes and encodes their transitions.

        Raises:
            UsageError: Minari has no such data set here, or its transitions are no vectors.
            CorruptError: It cannot be read.
        """
        recorded = self._recorded()
        env_spaces = Spaces(recorded.observation_space, recorded.action_space)
        return TransitionCodec.dataset(env_spaces, self._transitions(recorded), self._sample)

    def transitions(self) -> dict[str, NDArray[Any]]:
        """Returns the fields of a transition, each ``[count, ...]``, for agents that learn from them alone.

        Raises:
            UsageError: Minari has no such data set here, or its transitions are no vectors.
            CorruptError: It cannot be read.
        """
        recorded = self._recorded()
        TransitionCodec(Spaces(recorded.observation_space, recorded.action_space))  # refuses what are no vectors
        return self._transitions(recorded)

    def _recorded(self) -> Any:
        import minari

        try:
            return minari.load_dataset(self._id)
        except FileNotFoundError as error:
            raise UsageError(
                f"Minari has no data set {self._id!r} on this machine",
                hint=f"minari list local says what it has; minari download {self._id}",
            ) from error
        except Exception as error:  # whatever a damaged file, or a strange id, makes it raise
            raise CorruptError(f"Minari cannot read the data set {self._id!r}: {error}") from error

    def _transitions(self, recorded: Any) -> dict[str, NDArray[Any]]:
        parts: list[dict[str, Any]] = []
        count = 0
        try:
            for episode in recorded.iterate_episodes():
                parts.append(_episode(episode, recorded.action_space))
                count += len(parts[-1]["reward"])
                if self._count and count >= self._count:
                    break
        except (OSError, KeyError, ValueError) as error:
            raise CorruptError(f"Minari cannot read the data set {self._id!r}: {error}") from error
        if not count:
            raise UsageError(f"Minari's data set {self._id!r} has no transitions")
        wanted = slice(self._count or None)
        return {name: np.concatenate([part[name] for part in parts])[wanted] for name in parts[0]}


def _episode(episode: Any, action_space: Any) -> dict[str, NDArray[Any]]:
    """Returns an episode's transitions: one observation more than actions has been recorded."""
    observations = np.asarray(episode.observations)
    observations = observations.astype(np.float32) if observations.dtype == np.float64 else observations
    whole = isinstance(action_space, spaces.Discrete)
    return {
        "observation": observations[:-1],
        "action": np.asarray(episode.actions, np.int64 if whole else np.float32),
        "reward": np.asarray(episode.rewards, np.float32),
        "next_observation": observations[1:],
        "terminated": np.asarray(episode.terminations, bool),
    }
