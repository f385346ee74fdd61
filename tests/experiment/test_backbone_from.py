"""Backbones that come from another run, and ones that stay as they are."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_run import SmallRun

from advdl.cli.app import main
from advdl.errors import UsageError
from advdl.experiment.backbones import begin_backbones
from advdl.experiment.policy import load_agent

STEPS = 240
SHORT = ("evaluation.every=0", "evaluation.episodes=1", "agent.buffer_size=200", "checkpoint.keep_last=50")


class Short(SmallRun):
    def __init__(self, root: Path, *sets: str) -> None:
        super().__init__(root, *SHORT, *sets, steps=STEPS)


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory) -> Short:
    run = Short(tmp_path_factory.mktemp("donor"), "seed=5")
    run.begin()
    return run


def seen_through(run: SmallRun, place: int = 0, checkpoint: str = "best") -> list[np.ndarray]:
    agent = load_agent(run.folder, run.host, checkpoint).agent
    return [weight.numpy() for weight in agent.backbones()[place].weights]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(*pair) for pair in zip(one, other, strict=True))


def test_a_frozen_backbone_of_another_run_stays_as_it_is_and_the_rest_learns(donor: Short, tmp_path: Path) -> None:
    taken = f"backbone.from_run={donor.folder.path}"
    frozen, free = Short(tmp_path, taken, "backbone.freeze=true"), Short(tmp_path, taken)
    frozen.begin()
    free.begin()
    learnt = seen_through(donor)
    assert same(seen_through(frozen), learnt)
    assert not same(seen_through(free), learnt)
    first, last = (load_agent(frozen.folder, frozen.host, step).agent.online for step in ("0", "last"))
    assert not same(*([weight.numpy() for weight in each.advantage[0].weights] for each in (first, last)))


def test_a_run_goes_on_when_the_other_one_is_gone_but_none_begins(donor: Short, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(donor.folder.path, copy)
    run, late = (Short(tmp_path / name, f"backbone.from_run={copy}") for name in ("run", "late"))
    run.begin()
    shutil.rmtree(copy)
    assert run.resume(steps=STEPS + 80) == 0
    with pytest.raises(UsageError, match="copy"):
        late.begin()


class Blind:
    def backbones(self) -> tuple[Any, ...]:
        return ()


class Wide(Blind):
    def backbones(self) -> tuple[Any, ...]:
        return (keras.Sequential([keras.Input((4,)), keras.layers.Dense(9)]),)


def test_what_does_not_fit_is_refused(donor: Short, tmp_path: Path) -> None:
    run = Short(tmp_path, f"backbone.from_run={donor.folder.path}")
    with pytest.raises(UsageError, match=r"does not fit this one: a weight is \[4, 8\] there and \[4, 9\] here"):
        begin_backbones(Wide(), run.experiment, run.host)
    with pytest.raises(UsageError, match="'dqn' sees through no backbone that could be taken from a run"):
        begin_backbones(Blind(), run.experiment, run.host)


def test_each_network_takes_its_counterpart_and_other_agents_take_what_acts(donor: Short, tmp_path: Path) -> None:
    run, agent = Short(tmp_path, f"backbone.from_run={donor.folder.path}"), Wide()
    model = [keras.Sequential([keras.Input((4,)), keras.layers.Dense(8)]) for _ in range(3)]
    agent.backbones = lambda: tuple(model)
    begin_backbones(agent, run.experiment, run.host)
    assert all(same([w.numpy() for w in each.weights], seen_through(donor, 0)) for each in model)
    del model[2]
    begin_backbones(agent, run.experiment, run.host)
    assert same([w.numpy() for w in model[1].weights], seen_through(donor, 1))


def test_the_command_takes_the_runs_backbone_with_its_options(donor: Short, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["agent", "train", "--env", "CartPole", "--agent", "ppo", "--dry-run", "--json", "--freeze-backbone"]
    assert main([*words, "--backbone-from", str(donor.folder.path)]) == 0
    settings = json.loads(capsys.readouterr().out)["experiment"]
    assert settings["agent"]["backbone"] == donor.experiment.get("agent.backbone")
    assert settings["backbone"] == {"from_run": str(donor.folder.path.resolve()), "freeze": True}
