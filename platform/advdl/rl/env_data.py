"""EnvData: transitions of an env as data, for models of what follows on what a policy does."""

from typing import Annotated, Any

from annotated_types import Gt, Interval
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.rl.agent import Agent
from advdl.rl.behaviour import Behaviour
from advdl.rl.collecting import collect
from advdl.rl.env_names import EnvFacts, env_facts, resolve_env_id
from advdl.rl.spaces import Spaces
from advdl.rl.transitions import Sample, TransitionCodec
from advdl.training.dataset import Data, Dataset

RANDOM = "random"
"""The policy that is no run's."""

Transitions = dict[str, NDArray[Any]]


class EnvData(Data):
    """Transitions of an env, collected by the engine that trains agents in it; the same seed gives the same ones.

    x is what follows (the change of the observation, the reward, 1 where the episode terminated), c is what it follows
    on (the observation, the action, one-hot where it is discrete). Or x is the whole transition, or what is seen alone,
    and there is no c.

    Args:
        env: The env, such as Pendulum-v1.
        policy: ``random``, or the run whose agent acts.
        random: Share of random actions beside a run's policy.
        transitions: How many.
        envs: Copies that are stepped together; the compiled ones each begin their own episodes.
        seed: Seed of what is random; the run's seed has no part in it, so that runs are judged on the same data.
        sample: What a sample is: an ``outcome`` given what it follows on, a whole ``transition``, or an
            ``observation`` alone, such as the frames of a game.
    """

    def __init__(
        self,
        *,
        env: str = "CartPole-v1",
        policy: str = RANDOM,
        random: Annotated[float, Interval(ge=0, le=1)] = 0.1,
        transitions: Annotated[int, Gt(1)] = 5_000,
        envs: Annotated[int, Gt(0)] = 10,
        seed: Annotated[int, Interval(ge=0, lt=2**31)] = 0,
        sample: Sample = "outcome",
    ) -> None:
        self.env, self.policy = env, policy
        self._random, self._count, self._envs, self._seed, self._sample = random, transitions, envs, seed, sample

    def load(self) -> Dataset:
        """Collects the transitions of the random policy.

        Raises:
            UsageError: There is no such env, it has no transitions of vectors, or the policy is a run's, which whoever
                finds runs must give.
        """
        if self.policy != RANDOM:
            raise UsageError(f"the policy {self.policy!r} is a run's, and runs are found by the command line only")
        host = PluginHost.from_environment()
        return self.dataset(self.collect(host), host)

    def collect(self, host: PluginHost, agent: Agent | None = None) -> Transitions:
        """Collects the transitions of a policy: fields of a transition, each ``[transitions, ...]``.

        Args:
            host: Knows the compiled envs.
            agent: Who acts; None for the random policy.

        Raises:
            UsageError: There is no such env, it has no transitions of vectors or small images, or the agent's spaces
                are others.
        """
        facts = self._facts(host)
        spaces = Spaces(facts.observation, facts.action)
        if self._sample != "observation":
            TransitionCodec(spaces)  # refuses before anything is collected
        if agent is not None and agent.spaces != spaces:
            raise UsageError(
                f"the policy sees {agent.spaces.observation} and does {agent.spaces.action}, and {facts.id} is of "
                f"{spaces.observation} and {spaces.action}",
                hint="take a run of the same env",
            )
        behaviour = Behaviour(spaces, agent, random=self._random)
        return collect(facts, host, behaviour, count=self._count, num_envs=self._envs, seed=self._seed)

    def dataset(self, transitions: Transitions, host: PluginHost) -> Dataset:
        """Turns transitions into samples."""
        facts = self._facts(host)
        return TransitionCodec.dataset(Spaces(facts.observation, facts.action), transitions, self._sample)

    def _facts(self, host: PluginHost) -> EnvFacts:
        return env_facts(resolve_env_id(self.env, host), host)
