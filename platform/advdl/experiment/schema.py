"""What can be set: the sections of an experiment's configuration, and the families of experiments.

Components describe their own options; everything else is described here, each field once, for validation,
``--help`` and the docs alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from advdl.plugin.describe import constraint_text, type_text
from advdl.plugin.options import Option

LARGEST_SEED = 2**31 - 1

Finite = Annotated[float, Field(allow_inf_nan=False)]


def _window(text: str) -> str:
    first, _, last = text.partition(":")
    if text and not (first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise ValueError("two numbers of updates, the first below the last, such as 10:20")
    return text


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
    backbone_from: str = Field("", description="a run whose backbone this one's starts from: its folder or its id")
    backbone_freeze: bool = Field(False, description="whether the agent's backbone stays as it is; the rest is trained")
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16", "auto"] = Field(
        "float32", description="Keras dtype policy of every model; auto goes by the device"
    )
    devices: int = Field(1, ge=1, description="GPUs, or parts of a CPU, that share each update's batch")


class Env(Section):
    """What the agent acts in."""

    id: str = Field("CartPole-v1", description="Gymnasium id of the env")
    num: int = Field(16, ge=1, description="copies of the env that are stepped together")
    options: dict[str, Any] = Field({}, description="further arguments of gymnasium.make")
    wrappers: list[str | dict[str, Any]] = Field(
        [],
        description="wrappers around each copy: of gymnasium.wrappers by name, or module:Class; tables have options",
    )
    vector: Literal["copies", "gymnasium", "envpool"] = Field(
        "copies",
        description="who steps them in the host engine: advdl each copy, the env's own vector entry point, or EnvPool",
    )
    vector_options: dict[str, Any] = Field({}, description="further arguments of that entry point, or of envpool.make")
    workers: int = Field(0, ge=0, description="processes that the host engine steps the copies in; 0 is this one")
    runners: Annotated[str, Field(pattern=r"^(ray:[1-9][0-9]*)?$")] = Field(
        "", description="Ray actors that step the copies and act in them, such as ray:4; empty for none"
    )
    overlap: bool = Field(
        False, description="whether an off-policy agent's next steps are made during its updates, a round behind"
    )
    timeout: Finite = Field(60.0, gt=0, description="seconds that a step or a reset of the host engine may take")
    on_fault: Literal["stop", "restart"] = Field(
        "stop", description="what follows a fault of an env: training stops, or the copy begins anew"
    )
    bounds: Literal["stop", "warn", "ignore"] = Field(
        "warn", description="what follows an observation of floats that is outside of its own space"
    )


_FIELDS: Any = Env.model_fields


class OwnLoopEnv(Section):
    """What an agent with its own learning loop acts in."""

    id: str = _FIELDS["id"]
    num: int = Field(1, ge=1, description="copies of the env that are stepped in turn")
    options: dict[str, Any] = _FIELDS["options"]
    wrappers: list[str | dict[str, Any]] = _FIELDS["wrappers"]


class Trainer(Section):
    """How gradients become updates."""

    clip_norm: Finite = Field(10.0, ge=0, description="largest global norm of a gradient; 0 never clips")
    accumulate: int = Field(1, ge=1, description="parts that a batch is cut into to save memory")
    rate_counts: Literal["updates", "env_steps"] = Field(
        "updates", description="what schedules of a learning rate count; the other schedules count env steps"
    )
    ema: Finite = Field(0.0, ge=0, lt=1, description="decay of averaged weights, which are evaluated; 0 for none")
    noise_scale: bool = Field(False, description="whether the gradient noise scale is measured, by a batch's parts")
    log_norms: bool = Field(False, description="whether norms of weights and of their changes are logged")
    jit: Literal["auto", "on", "off"] = Field(
        "auto", description="whether XLA compiles updates; auto measures it where a backbone convolves"
    )
    chunk_seconds: Finite = Field(1.0, gt=0, description="longest that one call of the training program may take, s")
    threads: int = Field(
        0, ge=0, description="threads that compute one operation; 0 is TensorFlow's choice, small networks prefer 1"
    )


class Evaluation(Section):
    """How the agent is judged, always on Gymnasium's own env."""

    every: int = Field(5_000, ge=0, description="env steps between evaluations; 0 evaluates at the end only")
    episodes: int = Field(100, ge=1, description="episodes of an evaluation")
    stop_at: Literal["solved", "never"] | Finite = Field(
        "solved",
        description="mean return that ends training; 'solved' is the env's own threshold",
    )


class EarlyStopping(Section):
    """When training ends because it no longer gets better."""

    patience: int = Field(0, ge=0, description="evaluations in succession without improvement that end it; 0 never")
    min_change: Finite = Field(0.0, ge=0, description="how much better than the best counts as an improvement")
    metric: str = Field("score", description="the figure of an evaluation that is watched, or 'score'")
    better: Literal["higher", "lower"] = Field("higher", description="which is better; a score is better where higher")


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
    profile: Annotated[str, AfterValidator(_window)] = Field(
        "", description="first and last update of a TensorBoard profile, such as 10:20; empty for none"
    )


class Meta(Section):
    """How a meta-learner is trained."""

    batch: int = Field(25, ge=1, description="tasks in a meta-batch")
    epochs: int = Field(4, ge=1, description="updates on a meta-batch that was played; drawn ones serve once")
    outer: Literal["clipped", "trust-region"] = Field(
        "clipped",
        description="updates on what was played: the optimizer's on a clipped loss, or one step in a trust region",
    )
    divergence: Finite = Field(
        0.01, gt=0, description="how far a step in the trust region may take the adapted policies, in nats"
    )


class MetaEvaluation(Section):
    """How a meta-learner is judged: it adapts to held-out tasks."""

    every: int = Field(5_000, ge=0, description="meta-updates between evaluations; 0 evaluates at the end only")
    tasks: int = Field(600, ge=1, description="held-out tasks of an evaluation")
    steps: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (0, 1, 5, 10), min_length=1, description="inner steps after which tasks are measured"
    )
    stop_at: Literal["solved", "never"] | Finite = Field(
        "never",
        description="mean score after the inner steps of training that ends it; an error is a negative score",
    )


class Imagination(Section):
    """How a model of the env is fitted, and how the agent trains in it; ``steps`` are real env steps."""

    warm_up: int = Field(1_000, ge=1, description="real steps with random actions before the model's first fit")
    refit_every: int = Field(1_000, ge=1, description="real steps from one fit of the model to the next")
    updates: int = Field(3_000, ge=1, description="updates of the model in a fit")
    batch_size: int = Field(256, ge=1, description="transitions, or segments, in a batch of the model")
    round: int = Field(100, ge=1, description="real steps from one spell of training in the model to the next")
    imagined: int = Field(40, ge=1, description="steps in the model for each real step")
    envs: int = Field(64, ge=1, description="copies of the model that are stepped together")
    horizon: int = Field(100, ge=1, description="steps after which an episode in the model is truncated")
    random: Finite = Field(0.1, ge=0, le=1, description="share of random actions among the agent's real steps")
    untrained: bool = Field(False, description="whether the model keeps its random weights: a control that must fail")


class WorldModel(Imagination):
    """The same of a model that sees one observation and an action: of samplers."""

    ensemble: int = Field(1, ge=1, description="models that are fitted side by side, of which each step asks one")
    max_uncertainty: Finite = Field(
        0.0, ge=0, description="disagreement of models that ends an episode, in standard deviations; 0 for never"
    )
    penalty: Finite = Field(0.0, ge=0, description="reward that ending an episode for uncertainty costs")
    margin: Finite = Field(
        0.1, ge=0, description="how far an episode may leave the range of real observations, as a share of it"
    )
    start_from: str = Field("", description="a run whose model and real transitions this one goes on with")
    reward: Annotated[str, Field(pattern=r"^([\w.]+:\w+)?$")] = Field(
        "", description="module:function that gives the model's rewards, of what is seen, done and seen then"
    )


class DataModel(Section):
    """How a model of transitions tops up the agent's memory."""

    ratio: Finite = Field(0.5, ge=0, le=1, description="share of each batch that is synthetic; 0 for a run without")
    warm_up: int = Field(2_000, ge=1, description="env steps before the model's first fit")
    refit_every: int = Field(5_000, ge=1, description="env steps from one fit of the model to the next")
    updates: int = Field(3_000, ge=1, description="updates of the model in a fit")
    batch_size: int = Field(256, ge=1, description="transitions in a batch of the model")
    store: int = Field(20_000, ge=1, description="synthetic transitions that are drawn after each fit")
    untrained: bool = Field(False, description="whether the model keeps its random weights: a control")
    offline: str = Field(
        "",
        description="transitions (a file, a run that has one, minari:ID) that it learns from alone; steps are updates",
    )


class Model(Section):
    """How a model is trained on data."""

    batch_size: int = Field(64, ge=1, description="samples in a batch")
    held_out: Finite = Field(0.2, gt=0, lt=1, description="share of the samples that judge the model, of every class")
    split: int = Field(0, ge=0, description="seed of the choice of those samples")


class ModelEvaluation(Section):
    """How a model is judged: it is measured on held-out data."""

    every: int = Field(500, ge=0, description="updates between evaluations; 0 evaluates at the end only")
    stop_at: Literal["solved", "never"] | Finite = Field(
        "never", description="mean score that ends training; where less is better, the score is negative"
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
        own: Settings that differ from the defaults, and from what a recipe says, for this family.
        beside: Slots whose components' recipes count too, each with the subject that its recipe is named after.
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
    own: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def component_sections(self) -> frozenset[str]:
        """Sections in which a ``name`` names a component."""
        return frozenset((*self.slots, *self.overrides))

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that may stand at the top."""
        return (*General.model_fields, *self.sections, *self.slots, *self.overrides, *COMPONENT_TABLES)


TRACKERS = "trackers"
METRICS = "metrics"

COMPONENT_TABLES: Mapping[str, str] = {TRACKERS: "tracker", METRICS: "metric"}
"""Sections that have a table of options, or true or false, for each component of a kind, by the kind."""

ASKED_BY: Mapping[str, str] = {
    "world_model": "--world-model vae, gan or diffusion trains in a model",
    "data_model": "--data-model vae, gan or diffusion tops the memory up",
    "sampler": "--world-model or --data-model names a sampler for an agent; advdl model train trains one by itself",
    "sampler_optimizer": "--world-model or --data-model names the sampler that it is for",
    "dynamics": "--world-model vae or diffusion on images trains in such a model",
    "dynamics_optimizer": "--world-model vae or diffusion on images trains the model that it is for",
}
"""How the runs are asked for that a section is of."""

DEFAULT_TRACKERS = ("tensorboard",)
"""Trackers that are on, where they are installed, unless they are set to false."""

_LOOP: Mapping[str, type[Section]] = {"early_stopping": EarlyStopping, "checkpoint": Checkpoint, "log": Log}
_JUDGED: Mapping[str, type[Section]] = {"trainer": Trainer, "evaluation": Evaluation, **_LOOP}
_MODEL: Mapping[str, type[Section]] = {"model": Model, "trainer": Trainer, "evaluation": ModelEvaluation, **_LOOP}

_OF_AGENTS = {"evaluate": "advdl agent eval {}", "watch": "advdl agent watch {}"}
_DREAMS = {"steps": 5_000, "env": {"num": 10}, "evaluation": {"every": 500}, "log": {"every": 100}}
_DATA = Slot("data", "digits", "what it is trained on")
_OPTIMIZER = Slot("optimizer", "adam", "turns gradients into updates")
_MODELS_OPTIMIZER = Slot("optimizer", "adam", "turns the model's gradients into updates")

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="agent",
            work="advdl.experiment.agent_work:build",
            main="agent",
            subject="env",
            sections={"env": Env, **_JUDGED},
            slots={
                "agent": Slot("agent", "dqn", "what is trained"),
                "optimizer": _OPTIMIZER,
            },
            commands=_OF_AGENTS,
            overrides={"optimizers": "optimizer"},
            shorthands={"env": "id"},
        ),
        Family(
            name="dream",
            work="advdl.experiment.dream_work:build",
            main="agent",
            subject="env",
            sections={"env": Env, "world_model": WorldModel, **_JUDGED},
            slots={
                "agent": Slot("agent", "dqn", "what is trained, in the model alone"),
                "optimizer": _OPTIMIZER,
                "sampler": Slot("sampler", "vae", "the model: what follows on an observation and an action"),
                "sampler_optimizer": _MODELS_OPTIMIZER,
            },
            commands=_OF_AGENTS,
            overrides={"optimizers": "optimizer"},
            shorthands={"env": "id"},
            own=_DREAMS,
            beside={"sampler": "env"},
        ),
        Family(
            name="imagination",
            work="advdl.experiment.imagination_work:build",
            main="agent",
            subject="env",
            sections={"env": Env, "world_model": Imagination, **_JUDGED},
            slots={
                "agent": Slot("agent", "dqn", "what is trained, in the model alone"),
                "optimizer": _OPTIMIZER,
                "dynamics": Slot("dynamics", "diffusion", "the model: what follows on all that was seen and done"),
                "dynamics_optimizer": _MODELS_OPTIMIZER,
            },
            commands=_OF_AGENTS,
            overrides={"optimizers": "optimizer"},
            shorthands={"env": "id"},
            own=_DREAMS,
            beside={"dynamics": "env"},
        ),
        Family(
            name="augmented",
            work="advdl.experiment.augmented_work:build",
            main="agent",
            subject="env",
            sections={"env": Env, "data_model": DataModel, **_JUDGED},
            slots={
                "agent": Slot("agent", "dqn", "what is trained"),
                "optimizer": _OPTIMIZER,
                "sampler": Slot("sampler", "diffusion", "the model: whole transitions"),
                "sampler_optimizer": _MODELS_OPTIMIZER,
            },
            commands=_OF_AGENTS,
            overrides={"optimizers": "optimizer"},
            shorthands={"env": "id"},
            beside={"sampler": "transitions"},
        ),
        Family(
            name="meta",
            work="advdl.experiment.meta_work:build",
            main="adapter",
            subject="tasks",
            sections={"meta": Meta, "trainer": Trainer, "evaluation": MetaEvaluation, **_LOOP},
            slots={
                "adapter": Slot("adapter", "maml", "learns how the learner adapts"),
                "learner": Slot("learner", "regressor", "what adapts"),
                "tasks": Slot("tasks", "sinusoid", "what it adapts to"),
                "optimizer": _OPTIMIZER,
            },
            commands={"evaluate": "advdl meta evaluate {}"},
            overrides={"optimizers": "optimizer"},
        ),
        Family(
            name="learner",
            work="advdl.experiment.model_work:build",
            main="learner",
            subject="data",
            sections=_MODEL,
            slots={"learner": Slot("learner", "classifier", "what is trained"), "data": _DATA, "optimizer": _OPTIMIZER},
            commands={"evaluate": "advdl model evaluate {}"},
            overrides={"optimizers": "optimizer"},
        ),
        Family(
            name="sampler",
            work="advdl.experiment.model_work:build",
            main="sampler",
            subject="data",
            sections=_MODEL,
            slots={"sampler": Slot("sampler", "vae", "what is trained"), "data": _DATA, "optimizer": _OPTIMIZER},
            commands={"evaluate": "advdl model evaluate {}"},
            overrides={"optimizers": "optimizer"},
        ),
        Family(
            name="own_loop",
            work="advdl.experiment.own_loop_work:build",
            main="agent",
            subject="env",
            sections={"env": OwnLoopEnv, "evaluation": Evaluation, **_LOOP},
            slots={"agent": Slot("agent", "sb3-ppo", "what is trained, in a learning loop of its own")},
            commands=_OF_AGENTS,
            shorthands={"env": "id"},
        ),
    )
}
