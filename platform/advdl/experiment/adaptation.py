"""Turns a run's policy to one env, named with its params (``CartPole-v1?gravity=20``), and makes a run of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from advdl.errors import UsageError, unknown_name
from advdl.experiment.config import Experiment
from advdl.experiment.console import Console
from advdl.experiment.meta_work import MetaParts, load_meta
from advdl.experiment.policy import chosen_step
from advdl.experiment.publish import publish
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import Outcome, begin
from advdl.experiment.work import Verdict, Work, build_work

if TYPE_CHECKING:
    from advdl.plugin.component import Component
    from advdl.plugin.host import PluginHost
    from advdl.rl.env_names import EnvFacts
    from advdl.rl.env_tasks import PlayedTasks
    from advdl.training.learner import Learner

_AGENT = "adapted"
_WITH_OPTIONS = "advdl.rl.with_options:WithOptions"
_LIMIT = 1_000  # env steps that stand for an episode where the env never cuts one off


@dataclass(frozen=True, slots=True)
class Wish:
    """What to adapt to, and how.

    Attributes:
        env: The env's id, and its params: ``CartPole-v1?gravity=20&length=0.7``.
        episodes: Episodes that are played for each step of adaptation.
        steps: Steps of adaptation.
        judged: Episodes that are played before, and again after.
        seed: Seed of everything random.
        checkpoint: Of the run: ``"best"``, ``"last"`` or a step.
    """

    env: str
    episodes: int
    steps: int = 1
    judged: int = 100
    seed: int = 0
    checkpoint: str = "best"


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What was done.

    Attributes:
        env: The env's id.
        params: Its params.
        checkpoint: The step that it started from.
        before: What the policy was worth there.
        outcome: The run that was made of it, and what it is worth.
        how: The steps in words.
        meta_trained: Whether the policy was meta-trained; else it was fine-tuned.
    """

    env: str
    params: Mapping[str, float]
    checkpoint: int
    before: Verdict
    outcome: Outcome
    how: str
    meta_trained: bool


Resolve = Callable[[Mapping[str, Any]], Experiment]
NewFolder = Callable[[Experiment], RunFolder]


def adapt_run(
    folder: RunFolder,
    host: "PluginHost",
    wish: Wish,
    *,
    resolve: Resolve,
    new_folder: NewFolder,
    console: Console,
) -> Adaptation:
    """Adapts a run's policy to an env; an agent that was not meta-trained is fine-tuned by its own updates.

    Args:
        folder: A run that was meta-trained on tasks that are played, or trained an agent.
        host: The plugins.
        wish: What to adapt to.
        resolve: Makes an experiment of settings by dotted key.
        new_folder: Makes the new run's folder.
        console: Shows progress, and is told what was passed over.

    Raises:
        UsageError: The run has no policy, the env's spaces do not fit, or the task lies outside of the family.
    """
    name, params = split_env(wish.env)
    family = folder.record().family
    if family == "meta":
        return _adapted(folder, host, wish, (name, params), resolve, new_folder, console)
    if family != "agent":
        what = "an agent with a loop of its own" if family == "own_loop" else f"a {family}"
        raise UsageError(
            f"run {folder.id} cannot be adapted: it trained {what}", hint="advdl meta train --tasks physics"
        )
    return _fine_tuned(folder, host, wish, (name, params), new_folder, console)


def split_env(env: str) -> tuple[str, dict[str, float]]:
    """Splits ``CartPole-v1?gravity=20&length=0.7`` into the id and the params.

    Raises:
        UsageError: A param is no number.
    """
    name, _, query = env.partition("?")
    params = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        try:
            params[key] = float(value)
        except ValueError:
            raise UsageError(f"param {key!r} of env {name!r} cannot be {value!r}: it must be a number") from None
    return name, params


def _adapted(
    folder: RunFolder,
    host: "PluginHost",
    wish: Wish,
    env: tuple[str, dict[str, float]],
    resolve: Resolve,
    new_folder: NewFolder,
    console: Console,
) -> Adaptation:
    parts, step = load_meta(folder, host, wish.checkpoint, console.message)
    from advdl.rl.adapting import adapt_to
    from advdl.rl.env_tasks import PlayedTasks

    name, params = env
    if not isinstance(parts.tasks, PlayedTasks):
        raise UsageError(f"run {folder.id} adapts to data and not to an env", hint=f"advdl meta evaluate {folder.path}")
    source = folder.experiment(host)
    env_id = _require_family(parts.tasks, source, host, name)
    _require_in_range(parts.tasks, params)
    experiment = resolve(_settings(source, parts, wish, env_id, params))
    work: Any = build_work(experiment, host)
    work.build()
    before = _judged_with(work, parts.adapter.learner, "before")
    task = parts.tasks.task(params)
    adapt_to(parts.tasks, parts.adapter, task, episodes=wish.episodes, steps=wish.steps, seed=wish.seed)
    _hand_over(parts.adapter.learner, work.agent)
    new = new_folder(experiment)
    with new.lock():
        outcome = publish(new, work, experiment, before=before)
    times = "" if wish.steps == 1 else f" for each of {wish.steps} steps"
    return Adaptation(env_id, params, step, before, outcome, f"adapted on {wish.episodes} episodes{times}", True)


def _settings(
    source: Experiment, parts: MetaParts, wish: Wish, env_id: str, params: Mapping[str, float]
) -> dict[str, Any]:
    """Says in settings what the adapted policy is: an agent in the env, with the run's learner."""
    return {
        "agent": _AGENT,
        "agent.learner": source.data["learner"],
        "agent.gamma": parts.tasks.gamma,
        "agent.horizon": parts.tasks.horizon,
        "env": env_id,
        **_task_settings(source, parts.tasks, params),
        "env.num": wish.episodes,
        "evaluation.episodes": wish.judged,
        "precision": source.get("precision"),
        "seed": wish.seed,
        "steps": wish.episodes * wish.steps * parts.tasks.horizon,
    }


def _task_settings(source: Experiment, tasks: "PlayedTasks", params: Mapping[str, float]) -> dict[str, Any]:
    """Returns the task in settings of the env: params of a compiled one, options of the ``reset`` of another."""
    from advdl.rl.host_tasks import HostTasks

    if isinstance(tasks, HostTasks):
        return {"env.wrappers": [{"name": _WITH_OPTIONS, **params}]} if params else {}
    options = {key: value for key, value in source.data["tasks"]["env"].items() if key != "name"}
    return {"env.options": {**options, **({"params": dict(params)} if params else {})}}


def _judged_with(work: Any, learner: "Learner", purpose: str) -> Verdict:
    _hand_over(learner, work.agent)
    verdict: Verdict = work.judge(purpose)
    return verdict


def _hand_over(learner: "Learner", agent: "Learner") -> None:
    """Gives an agent around a learner of the same kind the learner's values; their names are the same."""
    from advdl.training.naming import learner_variables

    theirs = learner_variables(agent)
    for name, variable in learner_variables(learner).items():
        theirs[name].assign(variable)


def _fine_tuned(
    folder: RunFolder,
    host: "PluginHost",
    wish: Wish,
    env: tuple[str, dict[str, float]],
    new_folder: NewFolder,
    console: Console,
) -> Adaptation:
    from advdl.rl.env_names import compiled_twin, env_facts, resolve_env_id

    name, params = env
    source = folder.experiment(host)
    env_id = resolve_env_id(name, host)
    if params:
        _require_params(compiled_twin(env_id, host), host, name, params)
    settings = source.data["env"]
    old = env_facts(settings["id"], host, options=settings["options"], wrappers=settings["wrappers"])
    facts = env_facts(env_id, host, options={"params": params} if params else None, wrappers=settings["wrappers"])
    _require_spaces(facts, (old.observation, old.action), name, "trained")
    steps = wish.episodes * wish.steps * (facts.max_episode_steps or _LIMIT)
    start = _FromRun(folder, wish.checkpoint, steps, console)
    experiment = _tuning(source, wish, env_id, params, steps)
    outcome = begin(experiment, lambda: new_folder(experiment), host, console, start)
    how = f"fine-tuned by its own updates for {outcome.step:,} env steps"
    return Adaptation(env_id, params, start.step, start.verdict(), outcome, how, False)


def _tuning(source: Experiment, wish: Wish, env_id: str, params: Mapping[str, float], steps: int) -> Experiment:
    """Returns the run's own experiment, in another env and for a while only."""
    data = source.data
    options = {"params": dict(params)} if params else {}
    changed = {
        "env": {**data["env"], "id": env_id, "options": options},
        "evaluation": {**data["evaluation"], "every": 0, "stop_at": "never", "episodes": wish.judged},
        "seed": wish.seed,
        "steps": steps,
        "backbone_from": "",
    }
    return replace(source, data={**data, **changed})


class _FromRun:
    """Starts a run with what another one has learnt, and judges that first."""

    def __init__(self, folder: RunFolder, checkpoint: str, steps: int, console: Console) -> None:
        self._folder, self._checkpoint, self._steps, self._console = folder, checkpoint, steps, console
        self._before: Verdict | None = None
        self.step = 0

    def __call__(self, work: Work, experiment: Experiment, host: "PluginHost") -> str:
        from advdl.training.checkpoint import CheckpointStore

        store = CheckpointStore(self._folder.checkpoints)
        chosen = chosen_step(store, self._checkpoint)
        self.step = store.restore(work.learnt(), chosen, partial=True, warn=self._console.message).step
        self._before = work.judge("before")
        return (
            f"run {self._folder.id} was not meta-trained: it is fine-tuned by {experiment.get('agent.name')}'s own "
            f"updates for {self._steps:,} env steps"
        )

    def verdict(self) -> Verdict:
        if self._before is None:
            raise RuntimeError("the run has not been started")
        return self._before


def _require_family(tasks: "PlayedTasks", source: Experiment, host: "PluginHost", name: str) -> str:
    """Returns the full id of an env that is the family's."""
    from advdl.rl.env_names import compiled_twin, env_facts, resolve_env_id
    from advdl.rl.host_tasks import HostTasks

    env_id, spec = resolve_env_id(name, host), tasks.spec
    _require_spaces(env_facts(env_id, host), (spec.x, spec.c), name, "meta-trained")
    if isinstance(tasks, HostTasks):
        found, ours = env_id, resolve_env_id(tasks.env_id, host)
    else:
        twin, ours = compiled_twin(env_id, host), source.get("tasks.env.name")
        found = twin.name if twin else ""
    if found != ours:
        raise UsageError(
            f"env {name!r} is outside of the family: the policy was meta-trained in {ours!r}",
            hint=f"adapt in {ours!r}, or meta-train in the other env",
        )
    return env_id


def _require_spaces(facts: "EnvFacts", ours: tuple[Any, Any], name: str, trained: str) -> None:
    if (facts.observation, facts.action) != ours:
        raise UsageError(
            f"env {name!r} does not fit: it has {facts.observation} with {facts.action}, and the policy was "
            f"{trained} on {ours[0]} with {ours[1]}",
            hint="adapt to an env of the family that it was trained on",
        )


def _require_params(twin: "Component | None", host: "PluginHost", name: str, params: Mapping[str, float]) -> None:
    if twin is None:
        raise UsageError(
            f"env {name!r} has no params that could be set: it is not compiled", hint="advdl env list --compiled"
        )
    host.build("env", {"name": twin.name}).get_default_params(**params)


def _require_in_range(tasks: "PlayedTasks", params: Mapping[str, float]) -> None:
    known = tasks.known_params
    for name, value in params.items():
        if name not in known:
            raise unknown_name(f"param of {_env_name(tasks)}", name, known, command="advdl env list")
        low, high = tasks.ranges.get(name, (value, value))
        size = abs(value) if name in tasks.mirrored else value
        if not low <= size <= high:
            wider = f"[{min(low, size):g},{max(high, size):g}]"
            mirror = f", or {-high:g} to {-low:g}" if name in tasks.mirrored else ""
            raise UsageError(
                f"{name}={value:g} is outside of the family that was trained on: {low:g} to {high:g}{mirror}",
                hint=f"meta-train on a wider range: --set tasks.ranges.{name}={wider}",
            )


def _env_name(tasks: "PlayedTasks") -> str:
    from advdl.rl.env_tasks import EnvTasks

    return type(tasks.env).__name__ if isinstance(tasks, EnvTasks) else str(getattr(tasks, "env_id", "the env"))
