"""Which layer wins, and what is said of it."""

from collections.abc import Callable
from typing import Any

import pytest

from advdl.experiment.config import Experiment, render_dry_run

Resolve = Callable[..., Experiment]

# One setting written in every layer, the weakest first; the default is what the components say.
LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("recipe toy_recipes/CartPole-v1.toml", {}),
    ("advdl.toml", {"project": "log.every = 2"}),
    ("config file", {"config": "[log]\nevery = 3"}),
    ("ADVDL_LOG__EVERY", {"environ": {"ADVDL_LOG__EVERY": "4"}}),
    ("command line", {"command_line": {"log.every": 5}}),
]
VALUES = [7, 2, 3, 4, 5]


@pytest.mark.parametrize("strongest", range(len(LAYERS)))
@pytest.mark.parametrize("weakest", range(len(LAYERS)))
def test_the_strongest_layer_wins(resolve: Resolve, strongest: int, weakest: int) -> None:
    if weakest > strongest:
        weakest, strongest = strongest, weakest
    written = LAYERS[weakest][1] | LAYERS[strongest][1]

    experiment = resolve(**written)

    assert experiment.get("log.every") == VALUES[strongest]
    assert experiment.origins["log.every"].startswith(LAYERS[strongest][0])


def test_without_any_layer_the_default_is_taken(resolve: Resolve) -> None:
    experiment = resolve(command_line={"env": "Acrobot-v1"})
    assert experiment.get("log.every") == 1000
    assert experiment.origins["log.every"] == "default"
    assert experiment.origins["env.id"] == "command line"


@pytest.mark.parametrize("strongest", range(1, len(LAYERS) + 1))
def test_every_layer_together(resolve: Resolve, strongest: int) -> None:
    written: dict[str, Any] = {}
    for _, layer in LAYERS[:strongest]:
        written |= layer
    assert resolve(**written).get("log.every") == VALUES[strongest - 1]


def test_layers_are_merged_deep(resolve: Resolve) -> None:
    experiment = resolve(
        "agent.backbone.activation=tanh",
        project="agent.backbone.units = [1, 2]",
        config="agent.gamma = 0.5\n[env.options]\na.b = 1",
        environ={"ADVDL_ENV__OPTIONS__A__C": "2"},
    )
    assert experiment.get("agent.backbone") == {"name": "mlp", "units": [1, 2], "activation": "tanh"}
    assert experiment.get("env.options") == {"a": {"b": 1, "c": 2}}
    assert experiment.get("agent.gamma") == 0.5
    assert experiment.origins["agent.backbone.activation"] == "command line"
    assert experiment.origins["agent.backbone.units"] == "advdl.toml"
    assert experiment.origins["agent.backbone.name"] == "default"


class TestReplacedComponents:
    def test_options_of_the_old_component_are_dropped(self, resolve: Resolve) -> None:
        experiment = resolve("agent.backbone.name=resnet", project="agent.backbone.units = [5]")
        assert experiment.get("agent.backbone") == {"name": "resnet", "depth": 18}

    def test_a_bare_name_replaces_too(self, resolve: Resolve) -> None:
        experiment = resolve("agent.backbone=resnet")  # the recipe sets units of the mlp
        assert experiment.get("agent.backbone") == {"name": "resnet", "depth": 18}

    def test_the_same_name_keeps_them(self, resolve: Resolve) -> None:
        experiment = resolve("agent.backbone=mlp")
        assert experiment.get("agent.backbone.units") == [7]

    def test_options_of_the_new_one_are_kept_in_whatever_order(self, resolve: Resolve) -> None:
        for sets in (
            ["agent.backbone.depth=5", "agent.backbone.name=resnet"],
            ["agent.backbone=resnet", "agent.backbone.depth=5"],
            ["agent.backbone.depth=5", "agent.backbone=resnet"],
            ['agent.backbone={name="resnet", depth=5}'],
        ):
            assert resolve(*sets).get("agent.backbone") == {"name": "resnet", "depth": 5}

    def test_another_agent_does_not_inherit(self, resolve: Resolve) -> None:
        experiment = resolve(project="agent = {name = 'dqn', batch_size = 3}", command_line={"agent": "ppo"})
        assert experiment.get("agent") == {"name": "ppo", "clip": 0.2, "gamma": 0.98}

    def test_options_without_a_name_are_the_final_agents(self, resolve: Resolve) -> None:
        experiment = resolve(project="agent.gamma = 0.5", command_line={"agent": "ppo"})
        assert experiment.get("agent") == {"name": "ppo", "clip": 0.2, "gamma": 0.5}

    def test_a_recipe_is_that_of_the_final_agent(self, resolve: Resolve) -> None:
        experiment = resolve(project="agent = {name = 'ppo', clip = 0.1}", command_line={"agent": "dqn"})
        assert experiment.get("agent.gamma") == 0.7
        assert experiment.get("agent.backbone.units") == [7]
        assert resolve(command_line={"agent": "ppo"}).origins["agent.gamma"] == "default"

    def test_a_number_in_place_of_a_component_and_back(self, resolve: Resolve) -> None:
        assert resolve("optimizer.learning_rate=0.5").get("optimizer.learning_rate") == 0.5
        linear = resolve("optimizer.learning_rate=linear")
        assert linear.get("optimizer.learning_rate") == {"name": "linear", "start": 1.0, "end": 0.0}
        assert linear.origins["optimizer.learning_rate.name"] == "command line"
        assert linear.origins["optimizer.learning_rate.end"] == "default"
        number = resolve("optimizer.learning_rate=0.5", project="optimizer.learning_rate.name = 'linear'")
        assert number.get("optimizer.learning_rate") == 0.5

    def test_an_option_without_default_may_be_given(self, resolve: Resolve) -> None:
        experiment = resolve("agent.goal=3", command_line={"agent": "demanding"})
        assert experiment.get("agent.goal") == 3.0
        assert experiment.get("agent.backbone.units") == [128, 128]


class TestOverrides:
    def test_they_begin_as_the_shared_optimizer(self, resolve: Resolve) -> None:
        experiment = resolve("optimizers.q.epsilon=1e-3", project="optimizer.learning_rate = 0.25")
        assert experiment.get("optimizers.q") == {"name": "adam", "learning_rate": 0.25, "epsilon": 1e-3}
        assert experiment.get("optimizer.epsilon") == 1e-7
        assert experiment.origins["optimizers.q.learning_rate"] == "advdl.toml"
        assert experiment.origins["optimizers.q.epsilon"] == "command line"

    def test_another_optimizer_has_its_own_defaults(self, resolve: Resolve) -> None:
        experiment = resolve("optimizers.q=sgd", "optimizer.learning_rate=0.25")
        assert experiment.get("optimizers.q") == {"name": "sgd", "learning_rate": 0.1, "momentum": 0.0}


class TestTrackers:
    def test_tensorboard_is_on_and_others_are_off(self, resolve: Resolve) -> None:
        assert resolve().trackers == {"tensorboard": {"name": "tensorboard", "histograms": False}}

    def test_switched(self, resolve: Resolve) -> None:
        experiment = resolve("trackers.tensorboard=false", "trackers.diary=true")
        assert experiment.trackers == {"diary": {"name": "diary", "histograms": False}}
        assert experiment.get("trackers.tensorboard") is False

    def test_options(self, resolve: Resolve) -> None:
        experiment = resolve("trackers.tensorboard=true", project="trackers.tensorboard.histograms = true")
        assert experiment.trackers["tensorboard"]["histograms"] is True


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", "a"),
        ('"1"', "1"),
        ("1", 1),
        (".5", 0.5),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("{b = 1}", {"b": 1}),
        ("2020-01-01", "2020-01-01"),
        ("1\nseed = 3", "1\nseed = 3"),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_values_of_set(resolve: Resolve, text: str, value: Any) -> None:
    experiment = resolve(f"env.options.x={text}")
    assert experiment.get("env.options.x") == value
    assert experiment.get("seed") == 0


def test_shorthands_and_variables(resolve: Resolve) -> None:
    experiment = resolve(
        environ={
            "ADVDL_SEED": "3",
            "ADVDL_ENV": "Taxi-v3",
            "ADVDL_STEPS": "",
            "ADVDL_RUNS": "x",
            "PATH": "y",
        },
        command_line={"seed": None, "agent": "ppo"},
        project="env = 'Acrobot-v1'",
    )
    assert (experiment.get("seed"), experiment.get("env.id")) == (3, "Taxi-v3")
    assert experiment.get("steps") == 50_000
    assert experiment.origins["env.id"] == "ADVDL_ENV"


def test_the_env_is_spelt_in_full_before_its_recipe_is_looked_up(resolve: Resolve) -> None:
    experiment = resolve(command_line={"env": "cartpole"}, canonical_env=lambda name: {"cartpole": "CartPole-v1"}[name])
    assert experiment.get("env.id") == "CartPole-v1"
    assert experiment.get("steps") == 7
    assert experiment.origins["env.id"] == "command line"


def test_large_numbers_for_whole_ones(resolve: Resolve) -> None:
    assert resolve("steps=1e6").get("steps") == 1_000_000


def test_every_value_has_an_origin(resolve: Resolve) -> None:
    experiment = resolve("optimizers.q.epsilon=1e-3", "env.options.x={}", "env.options.y=[]")
    rows = {key: (value, origin) for key, value, origin in render_dry_run(experiment)}
    assert set(rows) == set(experiment.origins)
    assert rows["env.options.x"][0] == {}
    assert rows["env.options.y"] == ([], "command line")
    assert rows["agent.limit"] == (None, "default")
    assert rows["agent.backbone.units"] == ([7], "recipe toy_recipes/CartPole-v1.toml")
