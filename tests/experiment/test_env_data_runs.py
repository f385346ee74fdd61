"""Models of transitions from the command line: collected once, by whom it was said, and kept with the run."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from advdl.cli.app import main
from advdl.errors import CorruptError
from advdl.experiment.env_data import FILE, read_transitions
from advdl.experiment.run_folder import RunFolder

MODEL = (
    "model train vae --steps 4 --quiet --set sampler.units=[8] --set trainer.jit=off --set data.transitions=60 "
    "--set model.batch_size=16"
)
AGENT = (
    "agent train --env CartPole --steps 64 --quiet --set agent.backbone.units=[8] --set trainer.jit=off "
    "--set evaluation.episodes=1 --set agent.learning_starts=32 --set env.num=8"
)


def advdl(line: str, runs: Path) -> int:
    return main(shlex.split(f"{line} --runs-dir {runs}"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    assert advdl(AGENT, folder) == 0
    assert advdl(f"{MODEL} --data env:CartPole --policy latest --set data.random=0", folder) == 0
    return folder


def test_the_data_stay_with_the_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder.open("latest", runs)
    assert run.path.parent.parent.name == "CartPole"
    kept = read_transitions(run.path / FILE)
    assert kept["observation"].shape == (60, 4)
    written = (run.path / FILE).stat().st_mtime_ns
    other = {**kept, "reward": kept["reward"] + 1}
    np.savez(run.path / FILE, **other)  # what is kept is what counts
    assert main(["runs", "resume", str(run.path), "--steps", "6"]) == 0
    assert np.array_equal(read_transitions(run.path / FILE)["reward"], other["reward"])
    assert (run.path / FILE).stat().st_mtime_ns > written
    assert advdl("model evaluate latest --json", runs) == 0
    assert "negative_elbo" in capsys.readouterr().out


def test_the_runs_policy_acts(runs: Path) -> None:
    from advdl.experiment.policy import load_policy
    from advdl.plugin.host import PluginHost

    run = RunFolder.open("latest", runs)
    act, _, _ = load_policy(RunFolder(Path(run.config()["data"]["policy"])), PluginHost.from_environment())
    kept = read_transitions(run.path / FILE)
    first = kept["observation"][:10]
    assert np.array_equal(act(first), kept["action"][:10])


def test_a_policy_of_another_env_is_refused(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = next(runs.glob("CartPole-v1/dqn/*"))
    assert advdl(f"{MODEL} --data env:Pendulum --policy {policy}", runs) == 2
    assert "take a run of the same env" in capsys.readouterr().err
    model = next(runs.glob("CartPole/vae/*"))
    assert advdl(f"{MODEL} --data env:CartPole --policy {model}", runs) == 2


def test_damaged_transitions_are_said(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"PK no archive")
    with pytest.raises(CorruptError, match="cannot be read"):
        read_transitions(tmp_path / FILE)
