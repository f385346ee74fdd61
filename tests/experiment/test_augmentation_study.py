"""The study of augmentation: its four arms, what it makes of their scores, and a small run of it."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from advdl.cli.app import main
from advdl.experiment.augmentation_report import arms, comparisons, draw, report
from advdl.experiment.augmentation_study import ARMS, Result
from advdl.rl.statistics import improvement, paired_interval

SMALL = (
    "study augmentation --seeds 1 --factor 3 --steps 96 --quiet --data-model vae --set env.num=8 "
    "--set agent.backbone.units=[8] --set agent.learning_starts=16 --set agent.batch_size=8 --set agent.train_every=16 "
    "--set agent.updates=1 --set evaluation.every=48 --set evaluation.episodes=2 --set trainer.jit=off "
    "--set data_model.warm_up=48 --set data_model.updates=5 --set data_model.batch_size=16 --set data_model.store=40 "
    "--set sampler.units=[8] --set log.every=48"
)


def result(arm: str, seed: int, final: float) -> Result:
    return Result(arm, seed, final, final / 2, (10, 20), (final / 4, 3 * final / 4), f"runs/{arm}-{seed}")


@pytest.fixture
def results() -> list[Result]:
    """The model is 10 better than the matched arm on every seed, though the seeds differ by far more."""
    means = {"default": 0.0, "matched": 50.0, "model": 60.0, "untrained": 60.0}
    return [result(arm, seed, 100.0 * seed + mean) for arm, mean in means.items() for seed in (2, 0, 1)]


def test_paired_differences_and_probabilities() -> None:
    assert paired_interval([1.0, 12.0, 103.0], [0.0, 11.0, 102.0]) == (1.0, 1.0, 1.0)
    mean, low, high = paired_interval([1.0, 5.0, 3.0], [2.0, 1.0, 3.0])
    assert low < mean == 1.0 < high
    with pytest.raises(ValueError, match="come in pairs"):
        paired_interval([1.0], [1.0, 2.0])
    assert improvement([5.0, 6.0], [1.0, 2.0]) == (1.0, 1.0, 1.0)
    assert improvement([1.0, 1.0], [1.0, 1.0])[0] == 0.5
    probability, low, high = improvement([1.0, 3.0, 5.0], [2.0, 4.0, 0.0])
    assert probability == pytest.approx(6 / 9)
    assert low < probability < high


def test_arms_are_compared_seed_by_seed(results: list[Result]) -> None:
    table = {row["arm"]: row for row in arms(results)}
    assert table["model"]["final"] == 160.0
    assert table["model"]["final_low"] < 160.0 < table["model"]["final_high"]
    found = {(row["model_against"], row["figure"]): row for row in comparisons(results)}
    assert found["matched", "final"]["difference"] == found["matched", "final"]["low"] == 10.0
    assert found["matched", "final"]["verdict"] == "better"
    assert found["untrained", "final"]["verdict"] == "no difference shown"
    assert found["untrained", "final"]["probability"] == 0.5
    text = report(results, "A title")
    assert all(f"| {arm} |" in text for arm in ARMS)
    assert "| matched | final | +10.0 | +10.0 to +10.0 |" in text


def test_the_curves_are_drawn(results: list[Result]) -> None:
    picture = draw(results)
    assert (picture.dtype, picture.shape) == (np.uint8, (520, 900, 3))
    assert (picture == (50, 90, 190)).all(-1).sum() > 300


def test_a_small_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = [*shlex.split(SMALL), "--output", str(tmp_path / "study"), "--json"]
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["arm"] for row in found["arms"]] == list(ARMS)
    assert len(found["comparisons"]) == 6
    rows = json.loads((tmp_path / "study" / "results.json").read_text())
    metrics = {
        row["arm"]: json.loads((Path(row["run"]) / "metrics.jsonl").read_text().splitlines()[-1]) for row in rows
    }
    assert (metrics["model"]["model/updates"], metrics["untrained"]["model/updates"]) == (5, 0)
    made = {row["arm"]: updates(Path(row["run"])) for row in rows}
    assert made["matched"] == made["model"] == made["untrained"] == 3 * made["default"] > 0
    with Image.open(tmp_path / "study" / "curves.png") as image:
        assert image.size == (900, 520)
    runs = sorted((tmp_path / "study" / "runs").glob("*/*/*"))
    assert main(line) == 0  # all is there
    assert sorted((tmp_path / "study" / "runs").glob("*/*/*")) == runs
    (tmp_path / "study" / "results.json").write_text("[{}]")
    assert main(line) == 3


def updates(run: Path) -> int:
    from advdl.training.checkpoint import CheckpointStore

    store = CheckpointStore(run / "checkpoints")
    return int(store.read(max(store.steps()))["trainer/updates"])
