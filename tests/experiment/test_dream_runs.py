"""Agents that train in a model of their env, or with a memory that one tops up. XLA is off: it compiles for long."""

import json
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import When

from advdl.cli.app import main
from advdl.errors import UsageError
from advdl.experiment.config import Experiment, resolve_experiment
from advdl.experiment.console import Silent
from advdl.experiment.env_data import FILE, write_transitions
from advdl.experiment.model_parts import refuse_own_loops
from advdl.experiment.policy import load_policy
from advdl.experiment.reuse import reused_settings
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import Outcome, begin, resume
from advdl.experiment.signals import StoppedError
from advdl.experiment.work import build_work
from advdl.plugin.host import PluginHost
from advdl.training.checkpoint import CheckpointStore

SMALL = (
    "agent.backbone.units=[8]",
    "agent.learning_starts=16",
    "agent.batch_size=8",
    "agent.train_every=16",
    "agent.buffer_size=400",
    "agent.updates=1",
    "trainer.jit=off",
    "trainer.chunk_seconds=0.02",
    "evaluation.episodes=2",
    "evaluation.stop_at=never",
    "checkpoint.every_seconds=0.05",
    "checkpoint.max_share=1",
    "log.every=40",
)
DREAM = (
    "steps=160",
    "env.num=8",
    "evaluation.every=80",
    "world_model.warm_up=40",
    "world_model.refit_every=60",
    "world_model.round=20",
    "world_model.updates=12",
    "world_model.batch_size=16",
    "world_model.imagined=4",
    "world_model.envs=8",
    "world_model.horizon=5",
)
KEEP = "checkpoint.keep_last=99"
TOPPED_UP = (
    "steps=160",
    "env.num=8",
    "evaluation.every=80",
    "data_model.warm_up=48",
    "data_model.refit_every=64",
    "data_model.updates=12",
    "data_model.batch_size=16",
    "data_model.store=50",
)


class Small:
    """A small run of a family."""

    def __init__(
        self,
        root: Path,
        family: str,
        *sets: str,
        env: str = "CartPole-v1",
        agent: str = "dqn",
        sampler: str = "vae",
    ) -> None:
        self.host = PluginHost.from_environment()
        self.experiment: Experiment = resolve_experiment(
            self.host,
            command_line={"env": env, "agent": agent, "sampler": sampler},
            sets=[*SMALL, *(["sampler.units=[8]"] if sampler == "vae" else []), *sets],
            config_file=None,
            environ={},
            folder=root,
            family=family,
        )
        self.folder = RunFolder.create(root, env, agent, self.experiment, ["advdl"])

    def begin(self, console: Silent | None = None) -> Outcome:
        return begin(self.experiment, lambda: self.folder, self.host, console or Silent())

    def last(self) -> dict[str, np.ndarray]:
        store = CheckpointStore(self.folder.checkpoints)
        return {name: np.asarray(value) for name, value in store.read(max(store.steps())).items()}

    def metrics(self) -> list[dict[str, float]]:
        return [json.loads(line) for line in (self.folder.path / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def dreamt(tmp_path_factory: pytest.TempPathFactory) -> Small:
    run = Small(tmp_path_factory.mktemp("dreamt"), "dream", *DREAM)
    assert run.begin().step == 160
    return run


@pytest.fixture(scope="module")
def topped_up(tmp_path_factory: pytest.TempPathFactory) -> Small:
    run = Small(tmp_path_factory.mktemp("topped"), "augmented", *TOPPED_UP)
    assert run.begin().step == 160
    return run


def goes_on_as_if_it_had_never_stopped(whole: Small, run: Small, step: int) -> None:
    with pytest.raises(StoppedError):
        run.begin(When(step, lambda: signal.raise_signal(signal.SIGINT)))
    assert max(CheckpointStore(run.folder.checkpoints).steps()) < 160
    resume(run.folder.path, steps=None, host=run.host, console=Silent())
    ours, theirs = run.last(), whole.last()
    assert {*ours} == {*theirs}
    assert [name for name, value in theirs.items() if not np.array_equal(value, ours[name])] == []


def test_real_steps_are_counted_beside_the_models(dreamt: Small) -> None:
    last = dreamt.metrics()[-1]
    assert (last["step"], last["real/steps"], last["dream/steps"]) == (160, 160, 640)
    assert (last["model/fits"], last["model/updates"]) == (2, 24)  # at 40 and at 104: 60 steps are 64 on 8 copies
    assert {"rollout/return", "dream/return", "learn/q/loss", "model/elbo/loss"} <= {
        name for line in dreamt.metrics() for name in line
    }
    kept = dreamt.last()
    assert kept["real/source/added"] == 160
    assert kept["real/source/observation"].shape == (160, 4)


def test_the_model_is_fitted_and_the_agent_learns_in_it(dreamt: Small) -> None:
    kept = dreamt.last()
    assert int(kept["trainer/updates"]) > 10
    assert float(kept["world/range"][1, 1]) > float(kept["world/range"][0, 1])
    starts = kept["world/starts"]
    real = kept["real/source/observation"]
    assert all((np.abs(real - start).sum(1) == 0).any() for start in starts[:20])


def test_a_stopped_dream_goes_on(dreamt: Small, tmp_path: Path) -> None:
    goes_on_as_if_it_had_never_stopped(dreamt, Small(tmp_path, "dream", *DREAM), 60)


def leftwards(observation: Any, action: Any, next_observation: Any) -> Any:
    """A reward that is another than CartPole's."""
    del action
    return observation[:, 0] - next_observation[:, 0]


@pytest.fixture(scope="module")
def reused(dreamt: Small, tmp_path_factory: pytest.TempPathFactory) -> Small:
    run = Small(tmp_path_factory.mktemp("reused"), "dream", *DREAM, *reuse_of(dreamt))
    assert run.begin().step == 160
    return run


def reuse_of(run: Small) -> tuple[str, ...]:
    name = f"{__name__}:leftwards"
    return f"world_model.start_from={run.folder.path}", f"world_model.reward={name}", "world_model.warm_up=8", KEEP


def test_a_model_is_taken_over_and_its_rewards_are_others(dreamt: Small, reused: Small) -> None:
    first = CheckpointStore(reused.folder.checkpoints).read(0)
    theirs = dreamt.last()
    weights = [name for name in theirs if name.startswith("model/trainer/learner/")]
    assert weights
    assert [name for name in weights if not np.array_equal(first[name], theirs[name])] == []
    assert first["real/source/added"] == 160
    memory = reused.last()
    assert memory["real/source/observation"].shape == (320, 4)
    assert np.array_equal(memory["real/source/observation"][:160], theirs["real/source/observation"])
    moved = theirs["real/source/next_observation"][:, 0] - theirs["real/source/observation"][:, 0]
    np.testing.assert_allclose(memory["real/source/reward"][:160], -moved, atol=1e-6)
    assert np.ptp(memory["real/source/reward"][160:]) == 0, "what the real env gives is its own"
    assert any(line.get("dream/return", 1.0) < 0.9 for line in reused.metrics()), "in the model it is the function's"


def test_a_reuse_that_was_stopped_goes_on_without_the_other_run(dreamt: Small, reused: Small, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dreamt.folder.path, copy)
    run = Small(tmp_path, "dream", *DREAM, *reuse_of(dreamt), f"world_model.start_from={copy}")
    with pytest.raises(StoppedError):
        run.begin(When(60, lambda: signal.raise_signal(signal.SIGINT)))
    shutil.rmtree(copy)
    resume(run.folder.path, steps=None, host=run.host, console=Silent())
    ours, theirs = run.last(), reused.last()
    assert [name for name, value in theirs.items() if not np.array_equal(value, ours[name])] == []


def test_what_cannot_be_taken_over_is_refused(dreamt: Small, topped_up: Small, tmp_path: Path) -> None:
    for sets, sentence in {
        ("world_model.reward=nowhere:f",): "'nowhere:f' cannot be found",
        (f"world_model.reward={__name__}:SMALL",): "is no function",
        (f"world_model.reward={__name__}:one_alone",): "rewards of the shape",
        ("sampler.units=[9]",): "does not fit",
    }.items():
        run = Small(tmp_path, "dream", *DREAM, *reuse_of(dreamt), *sets)
        with pytest.raises(UsageError, match=sentence):
            build_work(run.experiment, run.host)
    with pytest.raises(UsageError, match="has no world model"):
        reused_settings(topped_up.folder)
    other = Small(tmp_path, "dream", *DREAM, *reuse_of(dreamt), env="Acrobot-v1")
    with pytest.raises(UsageError, match="the run that it starts from has the observation"):
        build_work(other.experiment, other.host)


def one_alone(observation: Any, action: Any, next_observation: Any) -> Any:
    del action, next_observation
    return observation[0, 0]


def test_the_command_takes_a_model_over(dreamt: Small, capsys: pytest.CaptureFixture[str]) -> None:
    found = settings(f"--world-model-from {dreamt.folder.path} --steps 500", capsys)
    assert found["family"] == "dream"
    assert found["experiment"]["sampler"] == dreamt.experiment.data["sampler"]
    assert found["experiment"]["world_model"]["start_from"] == str(dreamt.folder.path.resolve())
    assert found["experiment"]["world_model"]["warm_up"] == 1
    assert main(shlex.split(f"agent train --world-model-from {dreamt.folder.path} --world-model gan")) == 2
    assert "is 'vae', not 'gan'" in capsys.readouterr().err


def test_frames_of_a_game_are_dreamt(tmp_path: Path) -> None:
    """Three Euler steps a frame, as DIAMOND makes them."""
    run = Small(
        tmp_path,
        "dream",
        *(line for line in DREAM if not line.startswith("steps")),
        *("steps=60", "agent.backbone.name=mlp", "agent.backbone.units=[8]"),
        *("sampler.width=8", "sampler.depth=1", "sampler.solver=euler", "sampler.steps=3", "sampler.sigma_max=5"),
        env="advdl/MinAtar-Breakout-v0",
        sampler="diffusion",
    )
    run.begin()
    kept = run.last()
    assert kept["real/source/observation"].shape == (64, 10, 10, 4)
    assert kept["real/source/observation"].any()
    assert {name: kept[f"world/{name}"].shape for name in ("starts", "range")} == {
        "starts": (1000, 10, 10, 4),
        "range": (2, 10, 10, 4),
    }
    assert run.metrics()[-1]["dream/steps"] > 0


def test_its_policy_plays(dreamt: Small) -> None:
    act, facts, step = load_policy(dreamt.folder, dreamt.host, "last")
    assert (facts.host_id, step) == ("CartPole-v1", 160)
    assert act(np.zeros((3, 4), np.float32)).shape == (3,)


def test_the_control_is_never_fitted(tmp_path: Path) -> None:
    run = Small(tmp_path, "dream", *DREAM, "world_model.untrained=true", "steps=80", "world_model.ensemble=2", KEEP)
    run.begin()
    first, last = (CheckpointStore(run.folder.checkpoints).read(step) for step in (0, 80))
    weights = [name for name in first if name.startswith("model/trainer/learner") and "kernel" in name]
    assert {name.split("/")[3] for name in weights} == {"0", "1"}
    assert all(np.array_equal(first[name], last[name]) for name in weights)
    assert run.metrics()[-1]["model/updates"] == 0


@pytest.mark.parametrize(
    ("family", "sets", "env", "agent", "sentence"),
    [
        ("dream", ["world_model.warm_up=200"], "CartPole-v1", "dqn", "200 steps of warm-up are more than the 160 real"),
        ("dream", [], "FrozenLake-v1", "dqn", "observations that are vectors of floats"),
        ("augmented", [], "CartPole-v1", "ppo", "synthetic transitions have no 'advantage'"),
        ("augmented", ["data_model.warm_up=200"], "CartPole-v1", "dqn", "200 steps of warm-up"),
    ],
)
def test_what_does_not_fit_is_refused(
    family: str, sets: list[str], env: str, agent: str, sentence: str, tmp_path: Path
) -> None:
    host = PluginHost.from_environment()
    lengths = DREAM if family == "dream" else TOPPED_UP
    experiment = resolve_experiment(
        host,
        command_line={"env": env, "agent": agent, "sampler": "vae"},
        sets=[*lengths, *sets, "trainer.jit=off"],
        config_file=None,
        environ={},
        folder=tmp_path,
        family=family,
    )
    with pytest.raises(UsageError, match=sentence):
        build_work(experiment, host).build()


def settings(line: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    assert main([*shlex.split(f"agent train --env CartPole --dry-run --json {line}")]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command_says_which(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    dream = settings("--world-model diffusion --steps 3000", capsys)
    assert (dream["family"], dream["experiment"]["sampler"]["solver"]) == ("dream", "trig-heun")
    free = settings("--model-free --steps 3000", capsys)
    assert free["family"] == "agent"
    assert free["experiment"]["steps"] == dream["experiment"]["steps"] == 3000
    assert free["experiment"]["env"]["num"] == dream["experiment"]["env"]["num"]
    assert (
        settings("--model-free --set world_model.horizon=5", capsys)["experiment"]
        == settings("--model-free", capsys)["experiment"]
    )
    topped = settings("--data-model diffusion --synthetic-ratio 0.25", capsys)["experiment"]
    assert (topped["sampler"]["name"], topped["data_model"]["ratio"]) == ("diffusion", 0.25)
    file = tmp_path / "some.npz"
    file.write_bytes(b"")
    offline = settings(f"--offline {file}", capsys)["experiment"]
    assert (offline["data_model"]["ratio"], offline["data_model"]["offline"]) == (0.0, str(file.resolve()))
    for line, sentence in {
        "--model-free --world-model vae": "--model-free trains without a model",
        "--world-model vae --data-model vae": "do not go together",
        "--synthetic-ratio 0.5": "which is not given",
        "--set world_model.horizon=5": "'world_model' says nothing of this run (from --set world_model.horizon=5)",
        "--set data_model.store=5 --world-model vae": "'data_model' says nothing of this run",
        "--set sampler.units=[8]": "--world-model or --data-model names a sampler",
        "--offline nowhere.npz": "there is no file nowhere.npz",
        "--offline nowhere": "there is no run 'nowhere'",
    }.items():
        assert main(shlex.split(f"agent train {line}")) == 2
        assert sentence in capsys.readouterr().err


def test_agents_with_a_loop_of_their_own_are_refused() -> None:
    experiment = Experiment({"agent": {"name": "sb3-ppo"}}, {}, "dream")
    with pytest.raises(UsageError, match="learning loop of its own"):
        refuse_own_loops(experiment, PluginHost.from_environment())


def test_a_topped_up_memory(topped_up: Small) -> None:
    last = topped_up.metrics()[-1]
    assert (last["model/fits"], last["model/updates"]) == (2, 24)  # at 48 and 112
    kept = topped_up.last()
    assert kept["source/synthetic/filled"] > 0
    assert kept["source/synthetic/refills"] == 2
    assert np.std(kept["source/synthetic/store"]) > 0
    assert kept["source/real/added"] == 160


def test_a_stopped_top_up_goes_on(topped_up: Small, tmp_path: Path) -> None:
    goes_on_as_if_it_had_never_stopped(topped_up, Small(tmp_path, "augmented", *TOPPED_UP), 60)


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_offline_it_learns_from_what_is_there(dreamt: Small, ratio: float, tmp_path: Path) -> None:
    file = tmp_path / "fixed.npz"
    memory = {
        name: dreamt.last()[f"real/source/{name}"]
        for name in ("observation", "action", "reward", "next_observation", "terminated")
    }
    write_transitions(file, memory)
    run = Small(
        tmp_path, "augmented", *TOPPED_UP, "steps=30", f"data_model.ratio={ratio}", f"data_model.offline={file}"
    )
    run.begin()
    kept = run.last()
    assert kept["trainer/updates"] == 30
    assert kept["source/real/added" if ratio else "source/added"] == 160
    file.unlink()  # what is with the run is enough to go on with
    assert (run.folder.path / FILE).exists()
    resume(run.folder.path, steps=40, host=run.host, console=Silent())
    assert run.last()["trainer/updates"] == 40
