"""Component: the one thing that a plugin offers, and the kinds of it that there are."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from advdl.errors import PluginError


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of component and the contract that a component of it fulfils.

    Attributes:
        name: The kind's name, as in ``Component.kind``.
        summary: What components of this kind are for, in one line.
        contract: ``"module:Attr"`` of the class or protocol that documents the contract.
        check: ``"module:function"`` of the conformance check, or an empty string.
    """

    name: str
    summary: str
    contract: str
    check: str = ""


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("agent", "acts in an env and learns from it", "advdl.rl.agent:Agent", "advdl.testing:check_agent"),
        Kind("backbone", "observation in, features out", "keras:Model", "advdl.testing:check_backbone"),
        Kind("layer", "a Keras layer for use inside backbones", "keras.layers:Layer", "advdl.testing:check_layer"),
        Kind("loss", "compares a prediction with a target", "keras.losses:Loss", "advdl.testing:check_loss"),
        Kind(
            "optimizer", "turns gradients into updates", "keras.optimizers:Optimizer", "advdl.testing:check_optimizer"
        ),
        Kind("sampler", "draws x given c", "advdl.training.sampler:Sampler", "advdl.testing:check_sampler"),
        Kind(
            "dynamics",
            "what follows on all that was seen and done: a world model with a memory",
            "advdl.rl.dynamics:Dynamics",
            "advdl.testing:check_dynamics",
        ),
        Kind(
            "metric",
            "a figure of an evaluation's samples",
            "advdl.plugin.metric:Metric",
            "advdl.testing:check_metric",
        ),
        Kind(
            "schedule",
            "a value that changes with progress",
            "advdl.training.schedules:Schedule",
            "advdl.testing:check_schedule",
        ),
        Kind(
            "env", "a compiled env, batched and traceable", "advdl.rl.functional:CompiledEnv", "advdl.testing:check_env"
        ),
        Kind(
            "learner",
            "learns from data: a classifier, a regressor",
            "advdl.training.data_learner:DataLearner",
            "advdl.testing:check_learner",
        ),
        Kind(
            "data", "loads samples, and what belongs to each", "advdl.training.dataset:Data", "advdl.testing:check_data"
        ),
        Kind("tasks", "a family of tasks to adapt to", "advdl.training.tasks:Tasks", "advdl.testing:check_tasks"),
        Kind(
            "adapter",
            "learns how a learner adapts to a task",
            "advdl.training.adapter:Adapter",
            "advdl.testing:check_adapter",
        ),
        Kind(
            "tracker",
            "shows or stores what a run reports",
            "advdl.plugin.tracker:Tracker",
            "advdl.testing:check_tracker",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Component:
    """What a plugin offers: a name, a kind, and where its code is.

    Nothing is imported until the component is used, so a plugin's module stays light.

    Example:
        ``Component("backbone", "mlp", "advdl_basics.mlp:MLP", "fully connected layers")``

    Attributes:
        kind: One of ``KINDS``.
        name: What users write, such as ``--agent dqn``. Unique within its kind.
        target: ``"module:Attr"`` of a class whose keyword-only arguments are the options.
        summary: One line for ``advdl plugins list``.
        requires: Modules that must be importable for the component to work.
        extra: What to install when one is missing, such as ``"advdl[sb3]"``.
        recipes: Package that holds ``<env id>.toml`` files of tuned settings, or an empty string.
        details: Further facts that are needed before the code is imported, such as
            ``{"twin": "CartPole-v1"}`` for a compiled env.
    """

    kind: str
    name: str
    target: str
    summary: str = ""
    requires: tuple[str, ...] = ()
    extra: str = ""
    recipes: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    def load(self) -> Any:
        """Imports and returns the component's class.

        Raises:
            PluginError: The module or the attribute cannot be imported.
        """
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, SyntaxError) as error:
            raise PluginError(
                f"{self.kind} {self.name!r} cannot be loaded from {self.target!r}: {error}",
                hint=f"advdl plugins info {self.name}",
            ) from error
