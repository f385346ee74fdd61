"""Runs: begin one, go on with one, judge one."""

import contextlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import AdvdlError, DivergedError, ExitCode, UsageError
from advdl.experiment.build import Training, build_policy, build_training
from advdl.experiment.config import Experiment
from advdl.experiment.console import Console
from advdl.experiment.loop import Loop, Plan
from advdl.experiment.next_commands import next_commands
from advdl.experiment.reports import Reports
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.schema import Checkpoint, Env, Evaluation, General
from advdl.experiment.signals import StoppedError, StopRequest
from advdl.plugin.run_hooks import RunDispatcher
from advdl.plugin.tracker import RunInfo
from advdl.training.backend import start_tensorflow

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost
    from advdl.rl.env_names import EnvFacts
    from advdl.rl.evaluation import Act
    from advdl.rl.evaluation import Evaluation as EvaluationResult
    from advdl.training.checkpoint import CheckpointStore


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        folder: The run's folder.
        step: Env steps made.
        evaluation: The final evaluation's figures, on episodes that training never saw.
        policy_step: The step whose checkpoint was evaluated: the best one, or the last.
    """

    folder: RunFolder
    step: int
    evaluation: Mapping[str, float]
    policy_step: int


def begin(experiment: Experiment, folder: RunFolder, host: "PluginHost", console: Console) -> Outcome:
    """Trains a new run from its first step to its end, and evaluates what it has learnt.

    Raises:
        AdvdlError: The run could not be built, failed, diverged or was stopped; ``run.json`` says so too.
    """
    with folder.lock(), _recorded(folder):
        start_tensorflow()
        run = _Run(experiment, folder, host, console)
        return run.go(plan=None, resumed_from=None)


def resume(folder: Path, *, steps: int | None, host: "PluginHost", console: Console) -> int:
    """Goes on with a run from its newest sound checkpoint, exactly as if it had never stopped.

    Args:
        folder: The run's folder.
        steps: Train up to this many env steps, or None for what was planned.
        host: The plugins.
        console: Shows progress.

    Raises:
        UsageError: The run is done, is in use, or has no checkpoint.
        CorruptError: No checkpoint is sound.
    """
    run_folder = RunFolder(folder)
    with run_folder.lock():
        start_tensorflow()
        experiment = run_folder.experiment(host)
        if steps is not None:
            experiment = experiment.with_steps(steps)
        elif run_folder.status() == "done":
            longer = next_commands(folder, steps=experiment.get("steps"), done=True)["resume"]
            raise UsageError(f"run {run_folder.id} is done", hint=f"to train longer: {longer}")
        with _recorded(run_folder):
            run = _Run(experiment, run_folder, host, console)
            run.go_on(longer=steps is not None)
    return int(ExitCode.DONE)


class _Run:
    """One process' work on a run."""

    def __init__(self, experiment: Experiment, folder: RunFolder, host: "PluginHost", console: Console) -> None:
        from advdl.rl.policy import HostPolicy
        from advdl.rl.spaces import Spaces
        from advdl.training.checkpoint import CheckpointStore

        self._experiment, self._folder, self._host, self._console = experiment, folder, host, console
        self._training: Training = build_training(experiment, host)
        self._training.engine.build()
        keep = experiment.section(Checkpoint).keep_last
        self._store = CheckpointStore(folder.checkpoints, keep_last=keep)
        facts = self._training.facts
        self._act = HostPolicy(self._training.agent, Spaces(facts.observation, facts.action))

    def go_on(self, *, longer: bool) -> Outcome:
        """Restores the newest sound checkpoint and drops what was written after it."""
        restored = self._store.restore(self._training.engine.state(), warn=self._console.message)
        step, plan = restored.step, Plan(**restored.meta)
        if longer:
            plan.solved = False
            self._folder.replace_experiment(self._experiment)
        self._folder.truncate_metrics(step)
        # What the plan still has is made again: an evaluation that is due, or the final one of a run that had ended.
        ended = plan.solved or step >= self._experiment.section(General).steps
        self._folder.truncate_evaluations(min(step, plan.next_evaluation - 1), final=not ended)
        keep_best = self._experiment.section(Checkpoint).keep_best
        if keep_best and plan.best_step in self._store.steps():  # it may have been stopped before the mark was set
            self._store.protect(plan.best_step)
        return self.go(plan=plan, resumed_from=step)

    def go(self, plan: Plan | None, resumed_from: int | None) -> Outcome:
        """Trains to the end, then evaluates the policy that is kept."""
        reports = self._reports(resumed_from)
        loop = Loop(self._experiment, self._training, self._store, reports, self._judge(reports), self._console, plan)
        reports.started()
        with _told(reports):
            with StopRequest().watching() as stop:
                if plan is None:
                    loop.save()  # a run that is killed in its first second can be resumed too
                loop.run(stop)
            return self._finish(reports, loop.plan)

    def _finish(self, reports: Reports, plan: Plan) -> Outcome:
        step = self._training.engine.env_steps
        chosen = plan.best_step if self._experiment.section(Checkpoint).keep_best else None
        if chosen not in self._store.steps():  # damaged and pruned since: the last one is what there is
            chosen = None
        if chosen is not None and chosen != step:
            self._store.restore(learner_state(self._training.agent), chosen, partial=True)
        figures = reports.evaluated(step, self._evaluate("final", step), kind="final")
        return Outcome(self._folder, step, figures, step if chosen is None else chosen)

    def _reports(self, resumed_from: int | None) -> Reports:
        trackers = {name: self._host.build("tracker", raw) for name, raw in self._experiment.trackers.items()}
        hooks = RunDispatcher(self._host.run_implementations(), trackers, self._console.message)
        run = RunInfo(self._folder.path, self._folder.id, self._experiment.data, resumed_from)
        return Reports(self._folder, hooks, run, self._training.agent)

    def _judge(self, reports: Reports) -> Callable[[int], Mapping[str, float]]:
        def judge(step: int) -> Mapping[str, float]:
            figures = reports.evaluated(step, self._evaluate("during", step), kind="during")
            self._console.message(f"step {step:,}: {describe(figures)}")
            return figures

        return judge

    def _evaluate(self, purpose: str, step: int) -> "EvaluationResult":
        seed = evaluation_seed(self._experiment.section(General).seed, purpose, step)
        episodes = self._experiment.section(Evaluation).episodes
        options = self._experiment.section(Env).options
        return play(self._act, self._training.facts, episodes=episodes, seed=seed, options=options)


def play(
    act: "Act", facts: "EnvFacts", *, episodes: int, seed: int, options: Mapping[str, Any] | None = None
) -> "EvaluationResult":
    """Evaluates a policy on Gymnasium's own env, never on a compiled twin."""
    from advdl.rl.evaluation import evaluate

    return evaluate(act, facts.host_id, episodes=episodes, seed=seed, env_options=options)


def load_policy(
    folder: RunFolder, host: "PluginHost", checkpoint: str = "best", warn: Callable[[str], None] = print
) -> "tuple[Act, EnvFacts, int]":
    """Rebuilds a run's policy from its configuration and fills it from a checkpoint.

    Args:
        folder: The run.
        host: The plugins.
        checkpoint: ``"best"`` (the last where none is marked), ``"last"``, or a step.
        warn: Told when a damaged checkpoint is passed over.

    Returns:
        The policy, the env's facts and the checkpoint's step.

    Raises:
        UsageError: There is no such checkpoint.
        CorruptError: It is damaged, and so is every other.
    """
    start_tensorflow()
    from advdl.training.checkpoint import CheckpointStore

    store = CheckpointStore(folder.checkpoints)
    agent, act, facts = build_policy(folder.experiment(host), host)
    step = _chosen_step(store, checkpoint)
    restored = store.restore(learner_state(agent), step, partial=True, warn=warn)
    return act, facts, restored.step


def learner_state(agent: Any) -> dict[str, Any]:
    """Returns the agent's variables by the names that a run's checkpoint gives them."""
    from advdl.training.trainer import learner_variables

    return {f"trainer/{name}": variable for name, variable in learner_variables(agent).items()}


def evaluation_seed(seed: int, purpose: str, step: int) -> int:
    """Derives the seed of an evaluation: episodes differ from step to step and from purpose to purpose."""
    return zlib.crc32(f"{seed}/{purpose}/{step}".encode())


def describe(figures: Mapping[str, float]) -> str:
    """Says an evaluation in one line."""
    return (
        f"return {figures['return/mean']:.1f} (std {figures['return/std']:.1f}, IQM {figures['return/iqm']:.1f}, "
        f"95% {figures['return/low']:.1f} to {figures['return/high']:.1f}) over {figures['episodes']:.0f} episodes"
    )


def _chosen_step(store: "CheckpointStore", checkpoint: str) -> int | None:
    if checkpoint == "best":
        return store.best()
    if checkpoint == "last":
        return None
    if checkpoint.isdecimal():
        return int(checkpoint)
    raise UsageError(f"--checkpoint takes best, last or a step, not {checkpoint!r}")


@contextlib.contextmanager
def _recorded(folder: RunFolder) -> Iterator[None]:
    """Keeps ``run.json`` true to what happens to the run."""
    folder.write_status("running")
    try:
        yield
    except BaseException as error:
        status = _status_of(error)
        with contextlib.suppress(AdvdlError, OSError):  # a full disk must not hide what filled it
            folder.write_status(status, step=_last_step(folder), error=str(error))
        raise
    folder.write_status("done", step=_last_step(folder))


@contextlib.contextmanager
def _told(reports: Reports) -> Iterator[None]:
    """Tells the trackers how the run ended."""
    try:
        yield
    except BaseException as error:
        reports.finished(_status_of(error), str(error))
        raise
    reports.finished("done")


def _status_of(error: BaseException) -> Any:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, StoppedError | KeyboardInterrupt) else "failed"


def _last_step(folder: RunFolder) -> int | None:
    from advdl.training.checkpoint import CheckpointStore

    steps = CheckpointStore(folder.checkpoints).steps()
    return steps[-1] if steps else None
