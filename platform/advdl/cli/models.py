"""What ``advdl agent train`` says of models beside the agent: which family of experiments it is, and its control."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError

if TYPE_CHECKING:
    from advdl.experiment.config import Experiment
    from advdl.plugin.host import PluginHost

Settle = Callable[[Mapping[str, Any], str, str], "Experiment"]
"""``settle(given, family, control_of)`` resolves an experiment; ``control_of`` is a family or empty."""


_WORLDS: Mapping[str, str] = {"sampler": "dream", "dynamics": "imagination"}
"""Kinds of components that can be a world, each with the family of its runs."""


@dataclass(frozen=True, slots=True)
class Models:
    """The options.

    Attributes:
        host: Knows which models there are.
        world: What ``--world-model`` names, or the sampler with its options.
        free: Whether ``--model-free`` is given.
        data: What ``--data-model`` names.
        ratio: What ``--synthetic-ratio`` says.
        offline: The file or the run that ``--offline`` names.
    """

    host: "PluginHost"
    world: str | Mapping[str, Any] | None = None
    free: bool = False
    data: str | None = None
    ratio: float | None = None
    offline: str | None = None

    def resolve(self, given: Mapping[str, Any], settle: Settle) -> "Experiment":
        """Resolves the experiment that the options ask for.

        Args:
            given: What the other options say, by dotted key.
            settle: Resolves an experiment of a family.

        Raises:
            UsageError: The options contradict each other, or settings are wrong.
        """
        augmented = self.data or self.offline
        if augmented and (self.world or self.free):
            raise UsageError(
                "a model that is trained in and one that tops up the memory do not go together",
                hint="--world-model or --model-free, or else --data-model or --offline",
            )
        if self.ratio is not None and not self.data:
            raise UsageError("--synthetic-ratio is the share of --data-model, which is not given")
        if self.free:
            return self._control(given, settle)
        if augmented:
            return settle({**given, **self._augmented()}, "augmented", "")
        if self.world:
            return self._dreamt(given, settle)
        return settle(given, "agent", "")

    def _dreamt(self, given: Mapping[str, Any], settle: Settle) -> "Experiment":
        """Of what has both, images are for the model with a memory; ``sampler:vae`` and ``dynamics:vae`` say which."""
        if not isinstance(self.world, str):
            return settle({**given, "sampler": self.world}, "dream", "")
        said, _, name = self.world.rpartition(":")
        kinds = [kind for kind in _WORLDS if said in ("", kind) and self._has(kind, name)]
        if not kinds:  # the sampler's error lists those that there are
            return settle({**given, "sampler": self.world}, "dream", "")
        if len(kinds) == 1:
            return settle({**given, kinds[0]: name}, _WORLDS[kinds[0]], "")
        experiment = settle({**given, "sampler": name}, "dream", "imagination")
        kind = "dynamics" if _sees_images(experiment, self.host) else "sampler"
        return settle({**given, kind: name}, _WORLDS[kind], "")

    def _has(self, kind: str, name: str) -> bool:
        return any(component.name == name for component in self.host.components(kind))

    def _augmented(self) -> dict[str, Any]:
        ratio = self.ratio if self.data else 0.0  # offline without a model: the control
        return {"sampler": self.data, "data_model.ratio": ratio, "data_model.offline": self.offline}

    def _control(self, given: Mapping[str, Any], settle: Settle) -> "Experiment":
        """As many real steps, on as many copies, evaluated as often as in the run that it is the control of."""
        if self.world:
            raise UsageError(
                f"--model-free trains without a model, and --world-model {self.world} with one",
                hint="start one run of each",
            )
        twin = settle(given, "dream", "")
        same = {key: twin.get(key) for key in ("steps", "env.num", "evaluation.every", "log.every")}
        return settle({**given, **same}, "agent", "dream")


def _sees_images(experiment: "Experiment", host: "PluginHost") -> bool:
    from gymnasium.spaces import Box

    from advdl.experiment.schema import Env
    from advdl.rl.env_names import env_facts

    env = experiment.section(Env)
    space = env_facts(env.id, host, options=env.options, wrappers=env.wrappers).observation
    return isinstance(space, Box) and len(space.shape) == 3
