"""What can be set: the sections of an experiment's configuration, and the families of experiments.

Components describe their own options; everything else is described here, each field once, for validation,
``--help`` and the docs alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from advdl.plugin.describe import constraint_text, type_text
from advdl.plugin.options import Option

LARGEST_SEED = 2**31 - 1

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Section(BaseModel):
    """A table of settings; nothing unknown may stand in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def describe(cls) -> list[Option]:
        """Describes the fields as components describe their options; the same code validates both."""
        return [_option(name, info) for name, info in cls.model_fields.items()]


def _option(name: str, info: FieldInfo) -> Option:
    hint = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return Option(
        name=name,
        type_name=type_text(hint),
        default=info.default,
        required=False,
        constraint=constraint_text(hint),
        doc=info.description or "",
        part="",
        hint=hint,
    )


class General(Section):
    """Settings that stand at the top, outside of any table."""

    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="seed of everything random in the run")
    steps: int = Field(50_000, ge=1, description="how long to train: an agent's env steps, a model's updates")
    engine: Literal["auto", "compiled", "host"] = Field(
        "auto", description="where the env runs: inside the training program, or in Python"
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "auto"] = Field(
        "float32", description="Keras dtype policy of every model; auto goes by the device"
    )
    devices: int = Field(1, ge=1, description="GPUs, or parts of a CPU, that share each update's batch")


class Env(Section):
    """What the agent acts in."""

    id: str = Field("CartPole-v1", description="Gymnasium id of the env")
    num: int = Field(16, ge=1, description="copies of the env that are stepped together")
    options: dict[str, Any] = Field({}, description="further arguments of gymnasium.make")


class Trainer(Section):
    """How gradients become updates."""

    clip_norm: Finite = Field(10.0, ge=0, description="largest global norm of a gradient; 0 never clips")
    accumulate: int = Field(1, ge=1, description="parts that a batch is cut into to save memory")
    ema: Finite = Field(0.0, ge=0, lt=1, description="decay of averaged weights, which are evaluated; 0 for none")
    noise_scale: bool = Field(False, description="whether the gradient noise scale is measured, by a batch's parts")
    log_norms: bool = Field(False, description="whether norms of weights and of their changes are logged")
    jit: Literal["auto", "on", "off"] = Field("auto", description="whether XLA compiles the program; auto compiles it")
    chunk_seconds: Finite = Field(1.0, gt=0, description="longest that one call of the training program may take, s")


class Evaluation(Section):
    """How the agent is judged, always on Gymnasium's own env."""

    every: int = Field(5_000, ge=0, description="env steps between evaluations; 0 evaluates at the end only")
    episodes: int = Field(100, ge=1, description="episodes of an evaluation")
    stop_at: Literal["solved", "never"] | Finite = Field(
        "solved",
        description="mean return that ends training; 'solved' is the env's own threshold",
    )


class Checkpoint(Section):
    """When the state of training is saved, and which of it is kept."""

    every_seconds: Finite = Field(30.0, gt=0, description="seconds between checkpoints")
    max_share: Finite = Field(
        0.01, gt=0, le=1, description="share of the time that saving may take; large states are saved less often"
    )
    keep_last: int = Field(2, ge=1, description="newest checkpoints that are kept")
    keep_best: bool = Field(True, description="whether the checkpoint of the best evaluation is kept too")


class Log(Section):
    """When metrics are written."""

    every: int = Field(1_000, ge=1, description="env steps between two lines of metrics")
    profile: Annotated[str, Field(pattern=r"^(\d+:\d+)?$")] = Field(
        "", description="first and last update of a TensorBoard profile, such as 10:20; empty for none"
    )


@dataclass(frozen=True, slots=True)
class Slot:
    """A section that holds one component.

    Attributes:
        kind: The component's kind.
        default: The component that is used when nobody names one.
        summary: What it is for, in one line.
    """

    kind: str
    default: str
    summary: str


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of experiment: which sections it has.

    Attributes:
        name: Its name.
        work: ``"module:function"`` that builds what a run of it drives.
        main: The section of the component that is trained; its recipes are used.
        subject: The section of what it is trained on: an env, data or tasks. Recipes are for a subject.
        sections: Plain tables by name.
        slots: Sections that hold one component.
        commands: What can be done with a run of it, by purpose; ``{}`` stands for its folder.
        overrides: Sections whose entries override a slot, by the slot: ``{"optimizers": "optimizer"}``.
        shorthands: The key that is meant when a plain section is given as a bare value.
    """

    name: str
    work: str
    main: str
    subject: str
    sections: Mapping[str, type[Section]]
    slots: Mapping[str, Slot]
    commands: Mapping[str, str]
    overrides: Mapping[str, str] = field(default_factory=dict)
    shorthands: Mapping[str, str] = field(default_factory=dict)

    @property
    def component_sections(self) -> frozenset[str]:
        """Sections in which a ``name`` names a component."""
        return frozenset((*self.slots, *self.overrides))

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that may stand at the top."""
        return (*General.model_fields, *self.sections, *self.slots, *self.overrides, TRACKERS)


TRACKERS = "trackers"
"""The section that has a table of options, or true or false, for each tracker."""

DEFAULT_TRACKERS = ("tensorboard",)
"""Trackers that are on, where they are installed, unless they are set to false."""

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="agent",
            work="advdl.experiment.agent_work:build",
            main="agent",
            subject="env",
            sections={
                "env": Env,
                "trainer": Trainer,
                "evaluation": Evaluation,
                "checkpoint": Checkpoint,
                "log": Log,
            },
            slots={
                "agent": Slot("agent", "dqn", "what is trained"),
                "optimizer": Slot("optimizer", "adam", "turns gradients into updates"),
            },
            commands={"evaluate": "advdl agent eval {}", "watch": "advdl agent watch {}"},
            overrides={"optimizers": "optimizer"},
            shorthands={"env": "id"},
        ),
    )
}
