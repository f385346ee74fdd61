"""Agents that train in a model with a memory: from pixels, stopped and resumed. XLA is off: it compiles for long."""

import json
import shlex
import signal
from pathlib import Path

import numpy as np
import pytest
from small_run import When

from advdl.cli.app import main
from advdl.errors import UsageError
from advdl.experiment.config import Experiment, resolve_experiment
from advdl.experiment.console import Silent
from advdl.experiment.policy import load_policy
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import begin, resume
from advdl.experiment.signals import StoppedError
from advdl.experiment.work import build_work
from advdl.plugin.host import PluginHost
from advdl.training.checkpoint import CheckpointStore

SMALL = (
    "steps=160",
    "env.num=8",
    "agent.backbone.units=[8]",
    "agent.horizon=4",
    "agent.epochs=1",
    "agent.batch_size=16",
    "trainer.jit=off",
    "trainer.chunk_seconds=0.02",
    "evaluation.every=80",
    "evaluation.episodes=2",
    "evaluation.stop_at=never",
    "checkpoint.every_seconds=0.05",
    "checkpoint.max_share=1",
    "checkpoint.keep_last=99",
    "log.every=40",
    "world_model.warm_up=40",
    "world_model.refit_every=60",
    "world_model.round=20",
    "world_model.updates=6",
    "world_model.batch_size=8",
    "world_model.imagined=4",
    "world_model.envs=8",
    "world_model.horizon=5",
)
MODELS = {
    "vae": ("dynamics.latent=4", "dynamics.units=[8]", "dynamics.memory=8", "dynamics.length=4", "dynamics.context=3"),
    "diffusion": ("dynamics.width=8", "dynamics.units=8", "dynamics.history=2", "dynamics.steps=2"),
}


class Small:
    """A small run of PPO in a model of pixel Catch."""

    def __init__(self, root: Path, model: str, *sets: str, env: str = "advdl/Catch-v0") -> None:
        self.host = PluginHost.from_environment()
        self.experiment: Experiment = resolve_experiment(
            self.host,
            command_line={"env": env, "agent": "ppo", "dynamics": model},
            sets=[*SMALL, *MODELS[model], *sets],
            config_file=None,
            environ={},
            folder=root,
            family="imagination",
        )
        self.folder = RunFolder.create(root, env, "ppo", self.experiment, ["advdl"])

    def begin(self, console: Silent | None = None) -> None:
        begin(self.experiment, lambda: self.folder, self.host, console or Silent())

    def kept(self, step: int = 160) -> dict[str, np.ndarray]:
        store = CheckpointStore(self.folder.checkpoints)
        return {name: np.asarray(value) for name, value in store.read(step).items()}

    def metrics(self) -> list[dict[str, float]]:
        return [json.loads(line) for line in (self.folder.path / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module", params=MODELS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Small]:
    run = Small(tmp_path_factory.mktemp("whole"), request.param)
    run.begin()
    return request.param, run


def test_it_is_fitted_and_trained_in(whole: tuple[str, Small]) -> None:
    model, run = whole
    last, kept = run.metrics()[-1], run.kept()
    assert (last["step"], last["real/steps"], last["dream/steps"]) == (160, 160, 640)
    assert (last["model/fits"], last["model/updates"]) == (2, 12)  # at 40 and at 104: 60 steps are 64 on 8 copies
    names = {name for line in run.metrics() for name in line}
    losses = {
        "vae": {"model/elbo/loss", "model/memory/loss"},
        "diffusion": {"model/denoiser/loss", "model/outcome/loss"},
    }
    assert {"rollout/return", "dream/return", *losses[model]} <= names
    assert int(kept["trainer/updates"]) > 10
    assert kept["real/source/observation"].shape == (160, 10, 5, 1)
    assert kept["real/source/truncated"].shape == (160,)
    moved = [name for name in kept if name.startswith("model/trainer/learner") and name.endswith("kernel")]
    first = run.kept(0)
    assert moved
    assert any(not np.array_equal(first[name], kept[name]) for name in moved)
    act, facts, _ = load_policy(run.folder, run.host, "last")
    assert act(np.zeros((3, 10, 5, 1), np.uint8)).shape == (3,)
    assert facts.host_id == "advdl/Catch-v0"


def test_a_stopped_one_goes_on(whole: tuple[str, Small], tmp_path: Path) -> None:
    """The model's memory within an imagined episode is part of the checkpoint."""
    model, run = whole
    other = Small(tmp_path, model)
    with pytest.raises(StoppedError):
        other.begin(When(60, lambda: signal.raise_signal(signal.SIGINT)))
    assert max(CheckpointStore(other.folder.checkpoints).steps()) < 160
    resume(other.folder.path, steps=None, host=other.host, console=Silent())
    ours, theirs = other.kept(), run.kept()
    assert {*ours} == {*theirs}
    assert [name for name, value in theirs.items() if not np.array_equal(value, ours[name])] == []


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    for model, sets, env, sentence in (
        ("diffusion", (), "CartPole-v1", "needs images"),
        ("vae", ("world_model.warm_up=24",), "advdl/Catch-v0", "less than a segment of 4 steps each"),
        ("vae", ("world_model.warm_up=200",), "advdl/Catch-v0", "200 steps of warm-up are more than the 160 real"),
    ):
        run = Small(tmp_path, model, *sets, env=env)
        with pytest.raises(UsageError, match=sentence):
            build_work(run.experiment, run.host)


def family(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    capsys.readouterr()
    assert main(shlex.split(f"agent train --dry-run --json {line}")) == 0
    found = json.loads(capsys.readouterr().out)
    slot = "dynamics" if found["family"] == "imagination" else "sampler"
    return found["family"], found["experiment"][slot]["name"]


def test_images_are_for_a_model_with_a_memory(capsys: pytest.CaptureFixture[str]) -> None:
    catch, cart = "--env advdl/Catch-v0 --world-model", "--env CartPole --world-model"
    assert family(f"{catch} diffusion --set dynamics.history=2", capsys) == ("imagination", "diffusion")
    assert family(f"{catch} vae", capsys) == ("imagination", "vae")
    assert family(f"{catch} sampler:vae --set sampler.latent=3", capsys) == ("dream", "vae")
    assert family(f"{catch} gan", capsys) == ("dream", "gan")
    assert family(f"{cart} vae", capsys) == ("dream", "vae")
    assert family(f"{cart} dynamics:vae", capsys) == ("imagination", "vae")
    for line, sentence in {
        f"{catch} diffusion --set sampler.steps=3": "'sampler' says nothing of this run",
        f"{cart} vae --set dynamics.latent=3": "'dynamics' says nothing of this run",
        f"{catch} difusion": "there is no sampler 'difusion'",
        f"{catch} dynamics:gan": "'dynamics:gan'",
    }.items():
        assert main(shlex.split(f"agent train --dry-run {line}")) == 2
        assert sentence in capsys.readouterr().err
