"""``advdl runs compare`` of groups: its figures against closed forms, its pictures, and what it warns of."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from advdl.cli.app import main
from advdl.experiment.comparison import curves, judge
from advdl.experiment.config import Experiment
from advdl.experiment.groups import find_group
from advdl.experiment.run_folder import RunFolder
from advdl.rl.statistics import stratified_interval


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("ADVDL_RUNS", raising=False)


def make(
    group: str, seed: int, score: float | None, *, env: str = "CartPole-v1", gamma: float = 0.99, ends: int = 4
) -> RunFolder:
    """Makes a run that was evaluated ``ends`` times, each 1,000 steps, on a straight way up to its score."""
    settings = {"seed": seed, "steps": 4_000, "env": {"id": env}, "agent": {"name": "dqn", "gamma": gamma}}
    folder = RunFolder.create(Path("runs"), env, "dqn", Experiment(settings, {}), [], group=group)
    for number in range(1, ends + 1) if score is not None else ():
        folder.append_evaluation(1_000 * number, {"kind": "during", "score": score * number / ends})
    if score is not None:
        folder.append_evaluation(1_000 * ends, {"kind": "final", "score": score})
        folder.write_status("done", step=1_000 * ends)
    return folder


def two_groups() -> None:
    for seed in range(5):
        make("narrow", seed, 100.0 * seed)
        make("wide", seed, 100.0 * seed + 150.0, gamma=0.98)
        make("narrow", seed, -200.0 + seed, env="Acrobot-v1")
    for seed in range(3):
        make("wide", seed, -100.0, env="Acrobot-v1", gamma=0.98)


def compared(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["runs", "compare", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


class TestFigures:
    def test_each_env_has_its_own(self, capsys: pytest.CaptureFixture[str]) -> None:
        two_groups()
        data = compared(capsys, "narrow", "wide")
        assert data["groups"] == ["narrow", "wide"]
        assert data["score"] == "mean return"
        narrow = data["envs"]["CartPole-v1"]["narrow"]
        assert (narrow["count"], narrow["iqm"], narrow["mean"]) == (5, 200.0, 200.0)
        assert (narrow["low"], narrow["high"]) == stratified_interval([[0.0, 100.0, 200.0, 300.0, 400.0]])
        assert [(run["seed"], run["score"]) for run in narrow["runs"]] == [(seed, 100.0 * seed) for seed in range(5)]
        wide = data["envs"]["Acrobot-v1"]["wide"]
        assert (wide["count"], wide["iqm"], wide["low"], wide["high"]) == (3, -100.0, -100.0, -100.0)
        assert data["differences"] == {"agent.gamma": ["0.99", "0.98"]}

    def test_together_they_are_normalised_env_by_env(self, capsys: pytest.CaptureFixture[str]) -> None:
        two_groups()
        together = compared(capsys, "narrow", "wide")["together"]
        assert together["ranges"] == {"Acrobot-v1": [-200.0, -100.0], "CartPole-v1": [0.0, 550.0]}
        low = sorted([seed / 100 for seed in range(5)] + [100 * seed / 550 for seed in range(5)])
        assert together["groups"]["narrow"]["iqm"] == pytest.approx(np.mean(low[2:-2]))
        assert together["groups"]["wide"]["count"] == 8

    def test_the_probability_of_improvement(self, capsys: pytest.CaptureFixture[str]) -> None:
        two_groups()
        (pair,) = compared(capsys, "wide", "narrow")["improvement"]
        won = sum(100 * x + 150 > 100 * y for x in range(5) for y in range(5)) / 25
        assert (pair["better"], pair["than"]) == ("wide", "narrow")
        assert pair["probability"] == pytest.approx((won + 1.0) / 2)
        assert pair["low"] <= pair["probability"] <= pair["high"]

    def test_text_fits_a_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        two_groups()
        assert main(["runs", "compare", "narrow", "wide"]) == 0
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= 80
        for part in ("CartPole-v1, mean return", "beats a run of", "agent.gamma", "all envs together"):
            assert part in text

    def test_one_group_and_a_run_beside_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        two_groups()
        assert compared(capsys, "narrow")["improvement"] == []
        alone = make("", 9, 1_000.0)
        data = compared(capsys, "narrow", alone.id)
        assert data["improvement"][0]["than"] == alone.id
        assert data["improvement"][0]["envs"] == ["CartPole-v1"]
        assert data["together"]["left_out"] == [alone.id]


class TestWarnings:
    def test_what_is_left_out_and_what_is_mixed(self, capsys: pytest.CaptureFixture[str]) -> None:
        make("odd", 0, 1.0)
        make("odd", 1, 2.0, gamma=0.5)
        broken = make("odd", 2, None)
        assert main(["runs", "compare", "odd"]) == 0
        captured = capsys.readouterr()
        assert f"{broken.id} of odd is left out: created, with no final evaluation" in captured.err
        assert "odd mixes runs in CartPole-v1 that differ in agent.gamma" in captured.err
        assert broken.id not in captured.out

    def test_nothing_to_compare(self, capsys: pytest.CaptureFixture[str]) -> None:
        make("none", 0, None)
        assert main(["runs", "compare", "none"]) == 2
        assert "no run of 'none' has a final evaluation" in capsys.readouterr().err


class TestCurves:
    def test_the_middle_of_the_runs_and_the_last_score_of_one_that_has_ended(self) -> None:
        make("g", 0, 400.0)
        make("g", 1, 200.0, ends=2)
        judged, _ = judge(find_group("g", Path("runs")))
        curve = curves(judged, "CartPole-v1")
        np.testing.assert_array_equal(curve.steps, [1_000, 2_000, 3_000, 4_000])
        np.testing.assert_allclose(curve.middle, [100.0, 200.0, 250.0, 300.0])
        np.testing.assert_allclose(curve.low, [100.0, 200.0, 200.0, 200.0])
        np.testing.assert_allclose(curve.high, [100.0, 200.0, 300.0, 400.0])
        assert curves(judged, "Acrobot-v1") is None

    def test_they_are_drawn(self, capsys: pytest.CaptureFixture[str]) -> None:
        two_groups()
        data = compared(capsys, "narrow", "wide", "--out", "report")
        assert data["files"] == [f"report/{name}" for name in ("curves.png", "curves.svg", "comparison.json")]
        assert json.loads(Path("report/comparison.json").read_text()) == data
        with Image.open("report/curves.png") as picture:
            pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        blue, orange = (np.all(pixels == colour, axis=1).sum() for colour in ((0, 114, 178), (213, 94, 0)))
        assert min(blue, orange) > 300  # both lines are there
        texts = {
            "".join(each.itertext()).strip()
            for each in ElementTree.parse("report/curves.svg").iter()
            if each.tag.endswith("text")
        }
        assert {"narrow", "wide", "CartPole-v1 (5 seeds)", "Acrobot-v1 (3 to 5 seeds)", "env steps", "4k"} <= texts
        before = Path("report/curves.svg").read_bytes()
        compared(capsys, "narrow", "wide", "--out", "report")
        assert Path("report/curves.svg").read_bytes() == before

    def test_without_evaluations_there_are_none(self, capsys: pytest.CaptureFixture[str]) -> None:
        make("g", 0, 1.0, ends=0)
        assert main(["runs", "compare", "g", "--out", "report"]) == 2
        assert "there are no curves" in capsys.readouterr().err

    def test_without_matplotlib_the_extra_is_named(self, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
        make("g", 0, 1.0)
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        assert main(["runs", "compare", "g", "--out", "report"]) == 2
        assert "pip install 'advdl[plot]'" in capsys.readouterr().err


def test_neither_tensorflow_nor_a_display_is_needed() -> None:
    two_groups()
    code = (
        "import sys; from advdl.cli.app import main\n"
        "assert main(['runs', 'compare', 'narrow', 'wide', '--out', 'report']) == 0\n"
        "heavy = {'tensorflow', 'keras', 'torch', 'gymnasium', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
