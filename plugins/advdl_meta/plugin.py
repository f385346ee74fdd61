"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl

_RECIPES = "advdl_meta.recipes"

_ADAPTERS = (
    Component(
        "adapter",
        "maml",
        "advdl_meta.maml:MAML",
        "second-order gradients through the inner steps (Finn 2017)",
        recipes=_RECIPES,
    ),
    Component("adapter", "fomaml", "advdl_meta.maml:FOMAML", "MAML with first-order gradients", recipes=_RECIPES),
    Component(
        "adapter",
        "reptile",
        "advdl_meta.reptile:Reptile",
        "towards where each task's own training leads",
        recipes=_RECIPES,
    ),
    Component("adapter", "anil", "advdl_meta.anil:ANIL", "MAML whose head adapts alone (Raghu 2020)", recipes=_RECIPES),
    Component(
        "adapter",
        "meta-sgd",
        "advdl_meta.meta_sgd:MetaSGD",
        "MAML with a learnt rate for each weight",
        recipes=_RECIPES,
    ),
    Component(
        "adapter",
        "maml-pp",
        "advdl_meta.maml_pp:MAMLPlusPlus",
        "MAML with the remedies of Antoniou 2019",
        recipes=_RECIPES,
    ),
)

_TASKS = (
    Component("tasks", "sinusoid", "advdl_meta.sinusoid:Sinusoid", "sinusoids of various amplitude and phase"),
    Component(
        "tasks",
        "few-shot",
        "advdl_meta.few_shot:FewShot",
        "tell a few classes apart after a few images of each",
        requires=("sklearn",),
        extra="advdl[data]",
    ),
)

_PLAYED = (
    Component(
        "tasks",
        "navigation",
        "advdl_meta.physics:Navigation",
        "walk to a goal that is not shown; the goals of Finn 2017",
    ),
    Component("tasks", "bandits", "advdl_meta.physics:Bandits", "arms of various means, each uniform from 0 to 1"),
    Component("tasks", "physics", "advdl_meta.physics:Physics", "params of a compiled env, each within a range"),
)

_HOSTED = (
    Component(
        "tasks",
        "cheetah-velocity",
        "advdl_meta.host:CheetahVelocity",
        "HalfCheetah at a speed of 0 to 2 (Finn 2017)",
        requires=("mujoco",),
        extra="advdl[mujoco]",
    ),
    Component(
        "tasks",
        "cheetah-direction",
        "advdl_meta.host:CheetahDirection",
        "HalfCheetah forwards or backwards (Finn 2017)",
        requires=("mujoco",),
        extra="advdl[mujoco]",
    ),
    Component(
        "tasks",
        "reset-options",
        "advdl_meta.host:ResetOptions",
        "options of any Gymnasium env's reset, each within a range",
    ),
)

_BACKBONES = (Component("backbone", "conv4", "advdl_meta.conv4:Conv4", "four small convolutions, for few-shot images"),)

_POLICIES = (
    Component("learner", "policy", "advdl_meta.policy:Policy", "acts; imitates actions or follows their advantages"),
    Component(
        "agent", "adapted", "advdl_meta.adapted:Adapted", "what advdl agent adapt makes of a meta-trained policy"
    ),
)


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers the adapters, the task families, a backbone, the policy and what becomes of it."""
    return (*_ADAPTERS, *_TASKS, *_PLAYED, *_HOSTED, *_BACKBONES, *_POLICIES)
