"""A sampler from the command line: trained, measured, drawn from, walked through."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from advdl.cli.app import main

TINY = (
    "--steps 12 --quiet --set sampler.network=dense --set sampler.units=[8] --set trainer.jit=off "
    "--set evaluation.every=0"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    assert main(shlex.split(f"model train vae --data digits {TINY} --runs-dir {folder}")) == 0
    return folder


def asked(capsys: pytest.CaptureFixture[str], runs: Path, line: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(shlex.split(f"model {line} --runs-dir {runs} --json")) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def size(file: Any) -> tuple[int, int]:
    with Image.open(file) as image:
        return image.size


def test_samples_are_drawn_as_a_sheet_and_as_arrays(
    runs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sheet = asked(capsys, runs, "sample latest --count 20")
    assert Path(sheet["file"]).parent.name == "pictures"
    assert size(sheet["file"]) == (10 * 33 + 1, 2 * 33 + 1)
    file = tmp_path / "threes.npz"
    assert asked(capsys, runs, f"sample latest --count 5 --given 3 --output {file}")["samples"] == 5
    with np.load(file) as arrays:
        assert (arrays["x"].shape, arrays["x"].dtype.name) == ((5, 8, 8, 1), "uint8")
        assert arrays["c"].tolist() == [3] * 5


def test_walks_are_drawn(runs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "walks.png"
    asked(capsys, runs, f"interpolate latest --rows 3 --steps 4 --output {file}")
    assert size(file) == (4 * 33 + 1, 3 * 33 + 1)


def test_samples_are_judged(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(capsys, runs, "evaluate latest --samples 40")
    assert {"negative_elbo", "frechet", "precision", "recall", "copying", "tstr", "tstr_recall", "class_recall"} <= set(
        found
    )
    assert "hidden units" in found["feature_space"]
    assert found["frechet"] > 1.0


def test_the_evaluation_has_pictures(runs: Path) -> None:
    (events,) = runs.rglob("events.out.*")
    tags = events.read_bytes()
    assert b"samples" in tags
    assert b"interpolation" in tags


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("sample latest --given eleven", "there is no class 'eleven'"),
        ("sample latest --output digits.jpg", "samples are written as .png or .npz, not as '.jpg'"),
        ("evaluate latest --samples 3", "3 samples are too few to be judged"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    runs: Path, capsys: pytest.CaptureFixture[str], line: str, sentence: str
) -> None:
    assert main(shlex.split(f"model {line} --runs-dir {runs}")) == 2
    assert sentence in capsys.readouterr().err
