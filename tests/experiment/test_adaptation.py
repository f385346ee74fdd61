"""A policy adapts to an env that is named with its params and becomes a run; what does not fit is refused."""

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from small_run import SmallRun

from advdl.cli.app import main
from advdl.errors import UsageError
from advdl.experiment.adaptation import Adaptation, Wish, adapt_run, split_env
from advdl.experiment.config import Experiment, resolve_experiment
from advdl.experiment.console import Silent
from advdl.experiment.policy import load_agent, load_policy
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import Outcome, begin, resume
from advdl.plugin.host import PluginHost
from advdl.training.checkpoint import CheckpointStore

HOST = PluginHost.from_environment()
SETS = (
    "learner.backbone.units=[6]",
    "tasks.episodes=2",
    "tasks.horizon=5",
    "meta.batch=2",
    "meta.epochs=1",
    "evaluation.tasks=2",
    "evaluation.steps=[0,1]",
    "trainer.jit=off",
    "adapter.learning_rate=5",
)


def meta_trained(root: Path, tasks: str) -> tuple[RunFolder, Outcome]:
    options = {"tasks": tasks, "adapter": "maml", "steps": 2}
    experiment = resolve_experiment(
        HOST, command_line=options, sets=SETS, config_file=None, environ={}, folder=root, family="meta"
    )
    folder = RunFolder.create(root, tasks, "maml", experiment, ["advdl", "meta", "train"])
    return folder, begin(experiment, lambda: folder, HOST, Silent())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder, outcome = meta_trained(tmp_path_factory.mktemp("physics"), "physics")
    assert outcome.step == 2
    assert 1.0 <= outcome.verdict.figures["return/after_0"] <= 5.0
    assert outcome.verdict.score == outcome.verdict.figures["return/after_1"]
    return folder


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    small = SmallRun(tmp_path_factory.mktemp("ordinary"), steps=400)
    small.begin()
    return small


def adapted(folder: RunFolder, root: Path, env: str, console: Silent | None = None) -> Adaptation:
    def resolve(given: object) -> Experiment:
        return resolve_experiment(
            HOST, command_line=given, sets=["trainer.jit=off"], config_file=None, environ={}, folder=root
        )

    def new_folder(experiment: Experiment) -> RunFolder:
        agent = experiment.get("agent.name")
        return RunFolder.create(root, experiment.get("env.id"), agent, experiment, ["advdl", "agent", "adapt"])

    wish = Wish(env, episodes=3, judged=4)
    return adapt_run(folder, HOST, wish, resolve=resolve, new_folder=new_folder, console=console or Silent())


@pytest.fixture(scope="module")
def heavy(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Adaptation:
    return adapted(run, tmp_path_factory.mktemp("heavy"), "CartPole-v1?gravity=20&length=0.7")


def test_it_becomes_a_run_of_the_same_weights_moved(run: RunFolder, heavy: Adaptation, tmp_path: Path) -> None:
    assert heavy.params == {"gravity": 20.0, "length": 0.7}
    assert heavy.meta_trained
    agent, step = load_agent(heavy.outcome.folder, HOST)
    assert step == 0
    before = CheckpointStore(run.checkpoints).load(2, prefix="trainer/learner/network").arrays
    after = [variable.numpy() for variable in agent.models["network"].variables]
    pairs = list(zip(sorted(before), after, strict=True))
    assert all(np.shape(before[name]) == value.shape for name, value in pairs)
    assert all(not np.array_equal(before[name], value) for name, value in pairs)
    again, _ = load_agent(adapted(run, tmp_path, "CartPole-v1?gravity=20&length=0.7").outcome.folder, HOST)
    same = [variable.numpy() for variable in again.models["network"].variables]
    assert all(np.array_equal(a, b) for a, b in zip(after, same, strict=True))


def test_it_is_played_with_the_physics_that_were_asked_for(heavy: Adaptation) -> None:
    folder = heavy.outcome.folder
    _, facts, _ = load_policy(folder, HOST)
    env = gymnasium.make(facts.host_id, **folder.config()["env"]["options"])
    still = gymnasium.make("CartPole-v1")
    for each in (env, still):
        each.reset(seed=0)
    env.unwrapped._state = np.full((1, 4), 0.1, np.float32)
    still.unwrapped.state = np.full(4, 0.1)
    ours, usual = env.step(1)[0], still.step(1)[0]
    assert np.allclose(ours[[0, 2]], usual[[0, 2]])
    assert ours[3] > usual[3]  # heavier: it falls faster
    kinds = {line["kind"]: line["return/mean"] for line in folder.read_evaluations()}
    assert kinds == {"before": heavy.before.score, "final": heavy.outcome.verdict.score}


@pytest.mark.parametrize(
    "words", [["eval", "--episodes", "2"], ["watch", "--video", "{}/seen.gif"], ["export", "--format", "savedmodel"]]
)
def test_agent_commands_take_it(heavy: Adaptation, tmp_path: Path, words: list[str]) -> None:
    verb, *options = (word.format(tmp_path) for word in words)
    assert main(["agent", verb, str(heavy.outcome.folder.path), *options]) == 0


def test_runs_show_it_and_it_trains_on(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = adapted(run, tmp_path, "CartPole-v1").outcome.folder
    assert main(["runs", "show", str(folder.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "done"
    resume(folder.path, steps=60, host=HOST, console=Silent())
    assert max(CheckpointStore(folder.checkpoints).steps()) == 60


def test_what_was_not_meta_trained_is_fine_tuned_and_says_so(ordinary: SmallRun, tmp_path: Path) -> None:
    console = Silent()
    found = adapted(ordinary.folder, tmp_path, "CartPole-v1?gravity=15", console)
    assert not found.meta_trained
    assert any("was not meta-trained: it is fine-tuned by dqn's own updates" in text for text in console.messages)
    assert found.outcome.step >= 1_500
    config = found.outcome.folder.config()
    assert config["env"]["options"] == {"params": {"gravity": 15.0}}
    assert config["agent"] == ordinary.folder.config()["agent"]


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("CartPole-v1?gravity=50", "gravity=50 is outside of the family that was trained on: 5 to 20"),
        ("CartPole-v1?force_mag=-20", "force_mag=-20 is outside of the .*: 5 to 15, or -15 to -5"),
        ("CartPole-v1?gravty=10", "there is no param of CartPole 'gravty'"),
        ("CartPole-v1?gravity=much", "param 'gravity' of env 'CartPole-v1' cannot be 'much'"),
        ("Pendulum-v1", "env 'Pendulum-v1' does not fit: it has"),
        ("CartPole-v0", "env 'CartPole-v0' is outside of the family: the policy was meta-trained in"),
    ],
)
def test_what_does_not_fit_is_refused(run: RunFolder, tmp_path: Path, env: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        adapted(run, tmp_path, env)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("Pendulum-v1", "env 'Pendulum-v1' does not fit: it has .* and the policy was trained on"),
        ("CartPole-v1?gravty=10", "there is no param of advdl/CartPole-v1 'gravty'"),
        ("LunarLander-v3?gravity=10", "env 'LunarLander-v3' has no params that could be set: it is not compiled"),
    ],
)
def test_fine_tuning_refuses_what_does_not_fit(ordinary: SmallRun, tmp_path: Path, env: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        adapted(ordinary.folder, tmp_path, env)


def test_a_policy_of_a_host_family_becomes_an_agent_in_its_task(tmp_path: Path) -> None:
    folder, outcome = meta_trained(tmp_path / "hosted", "reset-options")
    assert outcome.verdict.figures["return/after_0"] == 5.0
    found = adapted(folder, tmp_path / "adapted", "CartPole-v1?high=0.15")
    assert (found.meta_trained, found.params) == (True, {"high": 0.15})
    wrapper = {"name": "advdl.rl.with_options:WithOptions", "high": 0.15}
    assert found.outcome.folder.config()["env"]["wrappers"] == [wrapper]
    assert main(["agent", "eval", str(found.outcome.folder.path), "--episodes", "2"]) == 0
    with pytest.raises(UsageError, match=r"high=0\.5 is outside of the family that was trained on: 0\.05 to 0\.2"):
        adapted(folder, tmp_path, "CartPole-v1?high=0.5")


def test_an_env_without_params_is_its_default() -> None:
    assert split_env("CartPole-v1") == ("CartPole-v1", {})
