"""Adapting a meta-trained policy to one env, named with its params: ``CartPole-v1?gravity=20``."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from advdl.errors import UsageError, unknown_name
from advdl.experiment.meta_work import load_meta
from advdl.experiment.run_folder import RunFolder

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost
    from advdl.rl.env_tasks import EnvTasks


def adapt_run(
    folder: RunFolder,
    host: "PluginHost",
    env: str,
    *,
    episodes: int,
    steps: int,
    judged: int,
    seed: int,
    checkpoint: str = "best",
    warn: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Adapts a run's policy to an env.

    Args:
        folder: A run that was meta-trained on tasks that are played.
        host: The plugins.
        env: The env's id, and its params: ``CartPole-v1?gravity=20&length=0.7``.
        episodes: Episodes that are played for each step of adaptation.
        steps: Steps of adaptation.
        judged: Episodes that are played before, and again after.
        seed: Seed of everything random.
        checkpoint: ``"best"``, ``"last"`` or a step.
        warn: Told when a damaged checkpoint is passed over.

    Returns:
        Returns before and after, and what was done.

    Raises:
        UsageError: The run was not meta-trained, its tasks are not played, the env's spaces do not fit, or the task
            lies outside of the family.
    """
    name, params = split_env(env)
    parts, step = load_meta(folder, host, checkpoint, warn)
    from advdl.rl.acting_meta import adapt_to
    from advdl.rl.env_tasks import EnvTasks

    if not isinstance(parts.tasks, EnvTasks):
        raise UsageError(f"run {folder.id} adapts to data and not to an env", hint=f"advdl meta evaluate {folder.path}")
    _require_same_env(parts.tasks, host, name)
    _require_in_range(parts.tasks, params)
    task = parts.tasks.env.get_default_params(**params)
    found = adapt_to(parts.tasks, parts.adapter, task, episodes=episodes, steps=steps, judged=judged, seed=seed)
    return {
        "run": folder.id,
        "checkpoint": step,
        "env": name,
        "params": params,
        "episodes": episodes * steps,
        "steps": steps,
        "before": float(found.before.mean()),
        "after": float(found.after.mean()),
        "before_std": float(found.before.std()),
        "after_std": float(found.after.std()),
        "judged": judged,
    }


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


def _require_same_env(tasks: "EnvTasks", host: "PluginHost", name: str) -> None:
    from advdl.rl.env_names import env_facts, resolve_env_id

    facts = env_facts(resolve_env_id(name, host), host)
    ours = (tasks.env.observation_space, tasks.env.action_space)
    if (facts.observation, facts.action) != ours:
        raise UsageError(
            f"env {name!r} does not fit: it has {facts.observation} with {facts.action}, and the policy was "
            f"meta-trained on {ours[0]} with {ours[1]}",
            hint="adapt to an env of the family that it was trained on",
        )


def _require_in_range(tasks: "EnvTasks", params: Mapping[str, float]) -> None:
    known = getattr(tasks.env.default_params, "_fields", ())
    for name, value in params.items():
        if name not in known:
            raise unknown_name(f"param of {type(tasks.env).__name__}", name, known, command="advdl env list")
        low, high = tasks.ranges.get(name, (value, value))
        if not low <= value <= high:
            wider = f"[{min(low, value):g},{max(high, value):g}]"
            raise UsageError(
                f"{name}={value:g} is outside of the family that was trained on: {low:g} to {high:g}",
                hint=f"meta-train on a wider range: --set tasks.ranges.{name}={wider}",
            )
