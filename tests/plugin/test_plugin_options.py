import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Len, MultipleOf
from pydantic import AfterValidator

from advdl.errors import PluginError, UsageError
from advdl.plugin import Choice, Factory, Option, Part, options_of
from advdl.plugin.options import coerce, plain


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def even(value: int) -> int:
    if value % 2:
        raise ValueError("it must be even")
    return value


class Example:
    """An example.

    Args:
        given: Not an option.
        rate: How fast, in steps
            a second.
        mode: What to do: this or that.
    """

    def __init__(
        self,
        given: Any,
        *,
        rate: Annotated[float, Interval(gt=0, le=1)] = 0.5,
        count: Annotated[int, Ge(1), MultipleOf(2)] = 2,
        mode: Literal["this", "that"] = "this",
        flag: bool = True,
        units: tuple[Annotated[int, Gt(0)], ...] = (1, 2),
        pair: tuple[int, float] = (1, 2.0),
        colour: Colour = Colour.RED,
        file: Path | None = None,
        limit: float | None = None,
        text: str = "x",
        weights: Mapping[str, float] = {"a": 1.0},
        names: Annotated[Sequence[str], Len(1, 2)] = ("a",),
        checked: Annotated[int, AfterValidator(even)] = 2,
        part: Annotated[Factory, Part("loss")] = Choice("huber", {"delta": 2.0}),
        either: Annotated[float | Factory, Part("schedule")] = 0.1,
        needed: int,
        name: str = "never an option",
    ) -> None: ...


OPTIONS = {option.name: option for option in options_of(Example)}


def test_the_signature_is_the_schema() -> None:
    assert "given" not in OPTIONS
    assert "name" not in OPTIONS
    assert OPTIONS["rate"] == Option(
        "rate", "a number", 0.5, False, "> 0 and <= 1", "How fast, in steps a second.", "", None
    )
    assert OPTIONS["needed"].required
    assert OPTIONS["part"].part == "loss"
    assert OPTIONS["part"].default == {"name": "huber", "delta": 2.0}
    assert OPTIONS["units"].default == [1, 2]
    assert OPTIONS["mode"].doc == "What to do: this or that."


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rate", "a number > 0 and <= 1"),
        ("count", "a whole number >= 1 and a multiple of 2"),
        ("mode", "one of 'this', 'that'"),
        ("flag", "true or false"),
        ("units", "a list of whole numbers > 0"),
        ("pair", "a list of 2: a whole number, a number"),
        ("colour", "one of 'red', 'blue'"),
        ("limit", "a number or nothing"),
        ("weights", "a table of numbers"),
        ("names", "a list of text with 1 or more items and with at most 2 items"),
        ("part", "a loss"),
        ("either", "a schedule or a number"),
    ],
)
def test_types_are_said_in_words(name: str, words: str) -> None:
    assert f"{OPTIONS[name].type_name} {OPTIONS[name].constraint}".strip() == words


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("rate", 1, 1.0),
        ("count", 1e6, 1_000_000),
        ("units", [3, 4.0], (3, 4)),
        ("pair", [1, 2], (1, 2.0)),
        ("colour", "blue", Colour.BLUE),
        ("file", "a/b", Path("a/b")),
        ("file", None, None),
        ("limit", 3, 3.0),
        ("weights", {"b": 2}, {"b": 2.0}),
        ("part", "mse", "mse"),
        ("either", 0.3, 0.3),
        ("either", {"name": "linear"}, {"name": "linear"}),
    ],
)
def test_lossless_conversions(name: str, raw: Any, value: Any) -> None:
    converted = coerce(OPTIONS[name], raw, where="x")
    assert (type(converted), converted) == (type(value), value)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("rate", 0.0),
        ("rate", float("nan")),
        ("rate", "0.5"),
        ("rate", True),
        ("count", 3),
        ("count", 2.5),
        ("mode", "other"),
        ("flag", 1),
        ("flag", "yes"),
        ("units", [1, 0]),
        ("units", 3),
        ("units", [True]),
        ("pair", [1]),
        ("colour", "green"),
        ("text", 3),
        ("weights", {"b": "2"}),
        ("names", []),
        ("part", 3),
        ("either", True),
        ("needed", None),
    ],
)
def test_everything_else_is_refused_with_the_option_the_value_and_what_is_allowed(name: str, raw: Any) -> None:
    option = OPTIONS[name]
    with pytest.raises(UsageError) as caught:
        coerce(option, raw, where="agent", command="advdl plugins info example")
    expected = f"agent.{name} cannot be {raw!r}: it must be {option.type_name} {option.constraint}".rstrip()
    assert caught.value.message == expected
    assert caught.value.hint == "see its options: advdl plugins info example"


def test_a_validators_own_words_are_kept() -> None:
    with pytest.raises(UsageError, match="it must be even"):
        coerce(OPTIONS["checked"], 3, where="x")


class Positional:
    """As Keras writes them."""

    def __init__(self, units, rate=0.001, steps=3, on=False, clip=None, name="adam", **kwargs): ...  # type: ignore[no-untyped-def]


def test_a_class_without_keyword_only_arguments_offers_its_defaults() -> None:
    options = {option.name: option for option in options_of(Positional)}
    assert {name: option.type_name for name, option in options.items()} == {
        "rate": "a number",
        "steps": "a whole number",
        "on": "true or false",
        "clip": "anything",
    }
    assert coerce(options["rate"], 1, where="x") == 1.0
    assert coerce(options["clip"], None, where="x") is None
    assert coerce(options["clip"], 0.5, where="x") == 0.5


def test_keras_classes_work_as_they_are() -> None:
    from keras.losses import Huber
    from keras.optimizers import Adam

    adam = {option.name: option for option in options_of(Adam)}
    assert (adam["beta_1"].type_name, adam["beta_1"].default, adam["amsgrad"].default) == (
        "a number",
        0.9,
        False,
    )
    assert adam["learning_rate"].doc.startswith("A float")
    assert [option.name for option in options_of(Huber)][:1] == ["delta"]


def test_a_function_may_be_a_component() -> None:
    def build(space: Any, *, width: int = 3) -> None: ...

    assert [option.name for option in options_of(build)] == ["width"]


def test_annotations_that_cannot_be_read_are_the_plugins_fault() -> None:
    class Odd:
        def __init__(self, *, x: "Nowhere" = 1) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(PluginError, match=r"the options of .*Odd cannot be read: name 'Nowhere'"):
        options_of(Odd)


def test_plain_data() -> None:
    value = {"a": (1, Path("x/y")), "b": Colour.RED, "c": Choice("huber", {"units": (1,)})}
    assert plain(value) == {"a": [1, "x/y"], "b": "red", "c": {"name": "huber", "units": [1]}}


def test_a_default_says_that_it_builds_nothing() -> None:
    with pytest.raises(TypeError, match="'mlp' is the default of a part and builds nothing"):
        Choice("mlp")()
