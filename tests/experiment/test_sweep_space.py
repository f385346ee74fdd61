"""Ranges as people write them, what Optuna makes of them, and the sentences for what is none."""

from pathlib import Path

import pytest

from advdl.errors import UsageError
from advdl.experiment.sweep.space import (
    Choices,
    Range,
    parse_dimension,
    parse_searches,
    plain_setting,
    read_space,
    setting,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("float:0.9:0.999", Range(0.9, 0.999)),
        ("float:0:1:0.25", Range(0.0, 1.0, step=0.25)),
        ("log:1e-4:1e-2", Range(1e-4, 1e-2, log=True)),
        ("int:32:256", Range(32, 256, integer=True)),
        ("logint:1:1000", Range(1, 1000, integer=True, log=True)),
        ("choice:a,b", Choices(("a", "b"))),
        (
            "choice:[64,64],[128],{name = 'mlp', units = [8]}",
            Choices(("[64,64]", "[128]", "{name = 'mlp', units = [8]}")),
        ),
    ],
)
def test_a_range_is_read_and_written(text: str, expected: Range | Choices) -> None:
    found = parse_dimension(text, where="x")
    assert found == expected
    assert parse_dimension(found.text, where="x") == found
    distribution = found.distribution()
    assert all(
        distribution._contains(distribution.to_internal_repr(value))
        for value in (found.every() or [found.low, found.high])
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a", "--search a has no range"),
        ("a=", "has no range"),
        ("a=lg:1:2", "there is no kind of range 'lg'"),
        ("a=log:1", "a range is log:LOW:HIGH"),
        ("a=log:0:1", "begins above 0"),
        ("a=int:1.5:2", "'1.5' is no whole number"),
        ("a=float:1:nan", "'nan' is no finite number"),
        ("a=float:2:1", "the lower bound 2 is not below the upper bound 1"),
        ("a=float:0:1:2", "the step 2 is not within the range"),
        ("a=choice:x", "a choice needs two values or more"),
        ("a=choice:x,x", "a value stands twice"),
        ("[=log:1:2", "does not begin with a setting's name"),
    ],
)
def test_what_is_no_range_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_searches([text])
    assert sentence in caught.value.message


def test_a_file_has_the_form_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text(
        '"agent.gamma" = "float:0.9:0.99"\n[agent.backbone]\nunits = [[64, 64], [128]]\nname = ["mlp", "impala"]'
    )
    assert read_space(file) == {
        "agent.gamma": Range(0.9, 0.99),
        "agent.backbone.units": Choices(("[64, 64]", "[128]")),
        "agent.backbone.name": Choices(("mlp", "impala")),
    }
    file.write_text("[agent]\ngamma = 0.9")
    with pytest.raises(UsageError, match=r"agent\.gamma: 0\.9 is no range"):
        read_space(file)


def test_what_optuna_chose_becomes_a_setting_exactly() -> None:
    value = 0.1 + 0.2
    assert float(setting(value)) == value
    assert setting("[64,64]") == "[64,64]"
    assert plain_setting("[64,64]") == [64, 64]
    assert plain_setting(3) == 3


def test_a_grid_ends_where_its_ranges_do() -> None:
    assert parse_dimension("float:0:1:0.25", where="x").every() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert parse_dimension("int:1:3", where="x").every() == [1, 2, 3]
    assert parse_dimension("log:1:3", where="x").every() is None
