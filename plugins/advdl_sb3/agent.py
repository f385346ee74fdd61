"""SB3Agent: an algorithm of stable-baselines3 as an agent with its own learning loop."""

import contextlib
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize, VecTransposeImage

from advdl.errors import UsageError
from advdl.rl.env_factory import EnvFactory
from advdl.rl.own_loop import POLICY, Assignment, Foreign, OwnLoopAgent, Report
from advdl.training.tensors import Array
from advdl_sb3.generators import Generators
from advdl_sb3.metrics import Episodes, RunLogger
from advdl_sb3.networks import Networks
from advdl_sb3.normaliser import normaliser_arrays, restore_normaliser
from advdl_sb3.replayed import Replayed
from advdl_sb3.saved_state import (
    below,
    cut,
    fill,
    keras_backbones,
    policy_tensors,
    restore_training,
    to_array,
    training_arrays,
    training_facts,
)


class PausedError(Exception):
    """Leaves the algorithm's loop where a new stretch of experience is about to begin."""


class SB3Agent(OwnLoopAgent):
    """An algorithm of stable-baselines3, unchanged: its loop, its networks, its random numbers.

    Args:
        assignment: What it learns in, and for how long.
        networks: What it sees and decides with.
        normalise_observations: Whether observations are normalised by a running mean and variance.
        normalise_rewards: Whether rewards are divided by the running deviation of returns.
        device: Where torch computes.
        **settings: Arguments of the algorithm's class.

    Raises:
        UsageError: The algorithm cannot handle these spaces, or an argument.
    """

    formats: ClassVar[Mapping[str, str]] = {"onnx": ".onnx", "sb3": ".zip"}
    algorithm: ClassVar[type[BaseAlgorithm]]

    def __init__(
        self,
        assignment: Assignment,
        *,
        networks: Networks,
        normalise_observations: bool,
        normalise_rewards: bool,
        device: str,
        **settings: Any,
    ) -> None:
        super().__init__(assignment)
        outside = Generators()
        with outside.running():  # building seeds the process' generators, which are not the run's alone
            self._copies = _make(assignment)
            env = self._normalised(normalise_observations, normalise_rewards, settings.get("gamma", 0.99))
            self.model = self._build(env, networks, device, settings)
            # An env's class may share one space among all its instances, those of the evaluation too.
            self.model.action_space = copy.deepcopy(self.model.action_space)
            self._generators = Generators()
        self._logger = RunLogger()
        self.model.set_logger(self._logger)
        self._episodes = Episodes(self._copies)
        self._until = 0
        self._collect = self.model.collect_rollouts  # type: ignore[attr-defined]
        self.model.collect_rollouts = self._collect_or_pause  # type: ignore[attr-defined]

    @property
    def env_steps(self) -> int:
        """Env steps made so far."""
        return int(self.model.num_timesteps)

    def learn(self, until: int, report: Report) -> None:
        """Goes on with the algorithm's own loop until its current stretch of experience reaches ``until``."""
        self._until, self._logger.report = until, report
        left = self.assignment.total_steps - self.env_steps
        with self._generators.running(), contextlib.suppress(PausedError):
            # A number of steps counts from here, and is the whole again once added to those that were made.
            self.model.learn(left, log_interval=None, reset_num_timesteps=False)  # type: ignore[arg-type]
        self._episodes.report(report)

    def act(self, observations: Any) -> Any:
        """Returns the actions that the policy thinks best."""
        normaliser = self.model.get_vec_normalize_env()
        seen = observations if normaliser is None else normaliser.normalize_obs(observations)
        return self.model.predict(seen, deterministic=True)[0]

    def state(self) -> Mapping[str, Array]:
        """Returns networks, optimizers, replay, normaliser, random numbers, and how to find each env's state again."""
        arrays = {f"{POLICY}{name}": to_array(tensor) for name, tensor in policy_tensors(self.model).items()}
        arrays |= {f"{POLICY}{name}": array for name, array in normaliser_arrays(self.model).items()}
        arrays |= {f"loop/{name}": array for name, array in training_arrays(self.model).items()}
        arrays |= {f"generators/{name}": array for name, array in self._generators.state().items()}
        for index, one in enumerate(self._replayed()):
            arrays |= {f"env/{index}/{name}": array for name, array in one.episode()[0].items()}
        return arrays

    def facts(self) -> Mapping[str, Any]:
        """Returns counters and what else is no array."""
        return {
            "loop": training_facts(self.model),
            "generators": self._generators.facts(),
            "envs": [one.episode()[1] for one in self._replayed()] if self._began else [],
        }

    def restore(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> Sequence[str]:
        """Takes a state back; an env copy that does not find its place again begins a new episode."""
        self.restore_policy(arrays)
        restore_training(self.model, below(arrays, "loop/"), facts["loop"])
        self._generators.restore(below(arrays, "generators/"), facts["generators"])
        with self._generators.running():
            lost = [index for index in range(len(facts["envs"])) if not self._found_again(index, arrays, facts)]
        self._episodes.forget()
        return [_loss(lost, len(facts["envs"]))] if lost else []

    def restore_policy(self, arrays: Mapping[str, Array]) -> None:
        """Takes the networks and the normaliser."""
        wanted = below(arrays, POLICY)
        normaliser = {name: array for name, array in wanted.items() if name.startswith("normaliser/")}
        restore_normaliser(self.model, normaliser)
        networks = {name: array for name, array in wanted.items() if name not in normaliser}
        fill(policy_tensors(self.model), networks, "this agent")

    def backbones(self) -> Sequence[Any]:
        """Returns the Keras models among the networks: one, or one for each network, targets included."""
        return keras_backbones(self.model)

    @classmethod
    def open_foreign(cls, path: Path) -> Foreign:
        """Reads a zip that stable-baselines3's ``save`` wrote; its pickles are loaded."""
        from advdl_sb3.foreign import open_zip

        return open_zip(cls, path)

    def export(self, target: Path, kind: str) -> None:
        """Writes an ONNX file, or a zip for ``stable_baselines3``; one with a backbone of ours needs advdl to load."""
        if kind == "onnx":
            from advdl_sb3.exporting import write_onnx

            write_onnx(self.model, self.act, self.assignment.spaces.observation, target)
        else:
            self.model.save(target, exclude=["collect_rollouts"])

    def close(self) -> None:
        """Closes the envs."""
        self._copies.close()

    @property
    def _began(self) -> bool:
        return self.model._last_obs is not None

    def _replayed(self) -> list[Replayed]:
        return [one for one in self._copies.envs if isinstance(one, Replayed)] if self._began else []

    def _collect_or_pause(self, *arguments: Any, **named: Any) -> Any:
        if self.model.num_timesteps >= self._until:
            raise PausedError
        return self._collect(*arguments, **named)

    def _normalised(self, observations: bool, rewards: bool, gamma: float) -> VecEnv:
        if not (observations or rewards):
            return self._copies
        return VecNormalize(self._copies, norm_obs=observations, norm_reward=rewards, gamma=gamma)

    def _build(self, env: VecEnv, networks: Networks, device: str, settings: Mapping[str, Any]) -> BaseAlgorithm:
        space = self.assignment.spaces.observation
        try:
            return self.algorithm(  # type: ignore[call-arg]
                policy_name(space, own=networks.backbone is None),
                env,
                policy_kwargs=networks.arguments(space),
                seed=self.assignment.seed,
                device=device,
                **settings,
            )
        except (AssertionError, ValueError, TypeError) as error:
            name, env_id = self.algorithm.__name__, self.assignment.env_id
            raise UsageError(
                f"{name} of stable-baselines3 cannot learn in {env_id!r} so: {error}",
                hint="agents and what they can do: advdl plugins list --kind agent",
            ) from error

    def _found_again(self, index: int, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> bool:
        one = self._copies.envs[index]
        assert isinstance(one, Replayed)
        if one.replay(below(arrays, f"env/{index}/"), facts["envs"][index]):
            return True
        self._begin_anew(index, one)
        return False

    def _begin_anew(self, index: int, one: Replayed) -> None:
        """Gives an episode up as at a time limit, and begins another with a seed of this place in the run."""
        seed = np.random.SeedSequence([self.assignment.seed, self.env_steps, index]).generate_state(1)[0]
        observation, _ = one.reset(seed=int(seed & 0x7FFFFFFF))
        replace_row(self.model, index, observation)
        replay = getattr(self.model, "replay_buffer", None)
        if replay is not None:
            cut(replay, index)


def policy_name(space: spaces.Space[Any], *, own: bool) -> str:
    """Returns the name of the policy class that stable-baselines3 has for a space.

    Args:
        space: What is observed.
        own: Whether stable-baselines3's own feature extractor is used.
    """
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if own and is_image_space(space) else "MlpPolicy"


def replace_row(model: BaseAlgorithm, index: int, observation: Any) -> None:
    """Puts an env copy's first observation where the algorithm looks for its last one."""
    venv = model.get_env()
    assert venv is not None
    assert model._last_episode_starts is not None
    normaliser = model.get_vec_normalize_env()
    seen = observation if normaliser is None else normaliser.normalize_obs(observation)
    if isinstance(venv, VecTransposeImage):
        seen = venv.transpose_observations(seen)
    for last, value in ((model._last_obs, seen), (model._last_original_obs, observation)):
        _put(last, index, value)
    model._last_episode_starts[index] = True


def _put(rows: Any, index: int, value: Any) -> None:
    if isinstance(rows, Mapping):
        for key, row in rows.items():
            row[index] = value[key]
    elif rows is not None:
        rows[index] = value


def _make(assignment: Assignment) -> DummyVecEnv:
    factory = EnvFactory.of(assignment.env_id, assignment.env_options, assignment.env_wrappers)
    env = make_vec_env(factory.checked, n_envs=assignment.num_envs, seed=assignment.seed, wrapper_class=Replayed)
    assert isinstance(env, DummyVecEnv)
    return env


def _loss(lost: Sequence[int], copies: int) -> str:
    return (
        f"{len(lost)} of {copies} envs could not be brought back to where they were: they began new episodes, so what "
        "follows differs from a run that never stopped"
    )
