"""The adapters, tasks and learners keep the contracts of their kinds."""

from typing import Any

import pytest

from advdl.testing import check_adapter, check_agent, check_env, check_learner, check_tasks, component


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("maml", {}),
        ("fomaml", {}),
        ("reptile", {"steps": 3}),
        ("anil", {}),
        ("meta-sgd", {}),
        ("maml-pp", {"steps": 2}),
    ],
)
def test_adapters_keep_their_contract(name: str, options: dict[str, Any]) -> None:
    check_adapter(component("adapter", name, **options))


@pytest.mark.parametrize("name", ["sinusoid", "navigation", "physics", "bandits"])
def test_tasks_keep_their_contract(name: str) -> None:
    check_tasks(component("tasks", name))


def test_the_policy_keeps_its_contract() -> None:
    check_learner(component("learner", "policy", backbone={"name": "mlp", "units": [8]}), jit=False)


def test_what_adaptation_makes_keeps_the_contract_of_agents() -> None:
    learner = {"name": "policy", "backbone": {"name": "mlp", "units": [8]}}
    check_agent(component("agent", "adapted", learner=learner, horizon=8))


def test_navigation_keeps_the_contract_of_envs() -> None:
    check_env(component("env", "advdl/Navigation-v0")())
