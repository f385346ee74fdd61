"""Conformance kit: a check a kind of component. A new component's test is one call.

Example:
    ``check_backbone(component("backbone", "mlp", units=[32]))``

Each check takes what builds the component (its class, or what ``component`` returns), and raises
``ContractError`` with the clause that is broken.
"""

from typing import TYPE_CHECKING

from advdl.lazy import lazy_names

if TYPE_CHECKING:
    from advdl.testing.adapter import check_adapter
    from advdl.testing.agent import check_agent
    from advdl.testing.backbone import check_backbone
    from advdl.testing.clauses import component
    from advdl.testing.contract import ContractError
    from advdl.testing.data import check_data
    from advdl.testing.dynamics import check_dynamics
    from advdl.testing.env import check_env
    from advdl.testing.layer import check_layer
    from advdl.testing.learner import check_learner
    from advdl.testing.loss import check_loss
    from advdl.testing.metric import check_metric
    from advdl.testing.optimizer import check_optimizer
    from advdl.testing.own_loop_agent import check_own_loop_agent
    from advdl.testing.sampler import check_sampler
    from advdl.testing.schedule import check_schedule
    from advdl.testing.source import check_source
    from advdl.testing.tasks import check_tasks
    from advdl.testing.tracker import check_tracker

__all__ = [
    "ContractError",
    "check_adapter",
    "check_agent",
    "check_backbone",
    "check_data",
    "check_dynamics",
    "check_env",
    "check_layer",
    "check_learner",
    "check_loss",
    "check_metric",
    "check_optimizer",
    "check_own_loop_agent",
    "check_sampler",
    "check_schedule",
    "check_source",
    "check_tasks",
    "check_tracker",
    "component",
]

__getattr__ = lazy_names(
    __name__,
    {
        "ContractError": "advdl.testing.contract",
        "component": "advdl.testing.clauses",
        **{name: f"advdl.testing.{name.removeprefix('check_')}" for name in __all__ if name.startswith("check_")},
    },
)
