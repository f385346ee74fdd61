"""``advdl sweep``: wrong input, each with its sentence; and what is shown of a sweep that is there."""

import json
from pathlib import Path

import pytest

from advdl.cli.app import main
from advdl.experiment.sweep.space import parse_searches
from advdl.experiment.sweep.spec import SweepFolder, SweepSpec
from advdl.experiment.sweep.study import ask, open_study

SEARCH = ["--search", "agent.gamma=float:0.9:0.99"]
TRAIN = ["--", "agent", "train", "--env", "CartPole"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ADVDL_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "sentence", "hint"),
    [
        (["run", *SEARCH], "a sweep runs agent train, model train, meta train", "-- agent train"),
        (["run", *SEARCH, "--", "runs", "list"], "a sweep runs agent train", "-- agent train"),
        (["run", *TRAIN], "there is nothing to search", "--search"),
        (
            ["run", *SEARCH, *TRAIN, "--runs-dir=x"],
            "--runs-dir cannot stand in a sweep's command",
            "sweep run --runs-dir",
        ),
        (["run", *SEARCH, "--sampler", "tpr", *TRAIN], "there is no sampler 'tpr'", "did you mean 'tpe'"),
        (["run", *SEARCH, "--pruner", "media", *TRAIN], "there is no pruner 'media'", "did you mean 'median'"),
        (["run", *SEARCH, "--storage", "sql", *TRAIN], "there is no storage 'sql'", "did you mean 'sqlite'"),
        (["run", *SEARCH, "--objective", "time-to-target", *TRAIN], "needs a target", "--target 475"),
        (["run", *SEARCH, "--target", "475", *TRAIN], "means nothing to the objective score", "steps-to-target"),
        (["run", *SEARCH, "--sampler", "grid", *TRAIN], "a grid needs an end", "float:LOW:HIGH:STEP"),
        (["run", *SEARCH, "--name", "a/b", *TRAIN], "a sweep cannot be called 'a/b'", "letters"),
        (["run", *SEARCH, "--jobs", "4096", *TRAIN], "--jobs 4096 is more than the", "--jobs"),
        (["run", "--space", "none.toml", *TRAIN], "search file none.toml does not exist", "looked for"),
        (["show"], "there are no sweeps in runs", "advdl sweep run --help"),
    ],
)
def test_wrong_input(words: list[str], sentence: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert hint in said.partition("hint: ")[2]
    assert not Path("runs").exists()


def test_a_setting_that_is_none_is_found_before_anything_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "run", "--search", "agent.gama=float:0.9:0.99", *TRAIN]) == 2
    said = capsys.readouterr().err
    assert "agent has no option 'gama' (from --set agent.gama=0.9)" in said
    assert "did you mean 'gamma'" in said
    assert not Path("runs").exists()


@pytest.fixture
def made(place: Path) -> SweepFolder:
    folder = SweepFolder(Path("runs"), "mine")
    spec = SweepSpec(
        ("agent", "train", "--env", "CartPole"),
        parse_searches(["agent.gamma=float:0.9:0.99", "agent.backbone.units=choice:[8],[16,16]"]),
        objective="steps-to-target",
        target=475.0,
    )
    folder.create(spec, {})
    study = open_study(folder, spec, writing=True)
    for _ in range(6):
        trial = ask(study, spec)
        value = 1000 * trial.params["agent.gamma"] + (100 if trial.params["agent.backbone.units"] == "[8]" else 0)
        trial.set_user_attr("reached", value < 1000)
        study.tell(trial, value)
    return folder


def test_show(made: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "show", "mine", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    values = [trial["value"] for trial in data["trials"]]
    assert data["best"]["value"] == min(values)
    assert f"--set agent.gamma={data['best']['params']['agent.gamma']!r}" in data["best"]["command"]
    assert "--set evaluation.stop_at=475.0" in data["best"]["command"]
    assert set(data["importance"]) == {"agent.gamma", "agent.backbone.units"}
    assert sum(data["importance"].values()) == pytest.approx(1.0)
    assert [Path(path).name for path in data["plots"]] == ["importance.png", "parallel.png", "history.png"]
    assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in data["plots"])
    assert main(["sweep", "show", "--no-plots"]) == 0
    text = capsys.readouterr().out
    assert "sweep mine: 6 trials finished, steps-to-target 475" in text
    assert f"best: trial {data['best']['number']}, " in text
    assert "plot: " not in text


def test_another_sweep_does_not_take_its_place(made: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "show", "mina"]) == 2
    assert "did you mean 'mine'" in capsys.readouterr().err
    assert main(["sweep", "run", "--name", "mine", *SEARCH, *TRAIN]) == 2
    assert "sweep mine is there already, with another space" in capsys.readouterr().err
    (made.path / "sweep.toml").write_text("x = 1")
    assert main(["sweep", "show", "mine"]) == 3
    assert "sweep.toml cannot be read" in capsys.readouterr().err
