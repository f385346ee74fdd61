"""Backbones that come from another run, and ones that stay as they are."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_run import SmallRun

from advdl.cli.app import main
from advdl.errors import UsageError
from advdl.experiment.backbones import backbone_settings, freeze_backbones
from advdl.experiment.config import Experiment
from advdl.experiment.work import build_work
from advdl.training.checkpoint import CheckpointStore

STEPS = 240
SHORT = ("evaluation.every=0", "evaluation.episodes=1", "agent.buffer_size=200", "checkpoint.keep_last=50")
SEEN, HEAD = "trainer/learner/online/000.kernel", "trainer/learner/online/002.kernel"


class Short(SmallRun):
    def __init__(self, root: Path, *sets: str) -> None:
        super().__init__(root, *SHORT, *sets, steps=STEPS)


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory) -> Short:
    run = Short(tmp_path_factory.mktemp("donor"), "seed=5")
    run.begin()
    return run


def weights(run: SmallRun, step: int, name: str) -> np.ndarray:
    return CheckpointStore(run.folder.checkpoints).read(step)[name]


def test_a_frozen_backbone_of_another_run_stays_as_it_is_and_the_rest_learns(donor: Short, tmp_path: Path) -> None:
    taken = f"backbone_from={donor.folder.path}"
    frozen, free = Short(tmp_path, taken, "backbone_freeze=true"), Short(tmp_path, taken)
    frozen.begin()
    free.begin()
    learnt = weights(donor, STEPS, SEEN)
    assert (weights(frozen, STEPS, SEEN) == learnt).all()
    assert (weights(free, STEPS, SEEN) != learnt).any()
    assert (weights(frozen, STEPS, HEAD) != weights(frozen, 0, HEAD)).any()


def test_what_has_no_backbone_is_refused(donor: Short) -> None:
    with pytest.raises(UsageError, match="'blind' sees through no backbone that could be frozen"):
        freeze_backbones(SimpleNamespace(backbones=tuple), "blind")  # type: ignore[arg-type]
    blind = SimpleNamespace(
        id="1", config=lambda: {"agent": {"name": "blind"}}, record=lambda: SimpleNamespace(family="agent")
    )
    with pytest.raises(UsageError, match="run 1 has no backbone: it trained 'blind'"):
        backbone_settings(blind)  # type: ignore[arg-type]
    meta = Experiment({"backbone_freeze": True, "adapter": {"name": "maml"}}, {}, "meta")
    with pytest.raises(UsageError, match="'maml' cannot keep a backbone frozen"):
        build_work(meta, donor.host)


def test_the_command_takes_the_runs_backbone_with_its_options(donor: Short, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["agent", "train", "--env", "CartPole", "--agent", "ppo", "--dry-run", "--json", "--freeze-backbone"]
    assert main([*words, "--backbone-from", str(donor.folder.path)]) == 0
    settings = json.loads(capsys.readouterr().out)["experiment"]
    assert settings["agent"]["backbone"] == donor.experiment.get("agent.backbone")
    assert settings["backbone_from"] == str(donor.folder.path.resolve())
    assert settings["backbone_freeze"] is True
