"""A small real run in this process: CartPole, DQN, the real runner. XLA is off: it would compile for seconds."""

from collections.abc import Callable, Sequence
from pathlib import Path

from advdl.experiment.config import Experiment, resolve_experiment
from advdl.experiment.console import Silent
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import Outcome, begin, resume
from advdl.plugin.host import PluginHost

STEPS = 2_400

SETS = (
    "agent.backbone.units=[8]",
    "agent.buffer_size=600",
    "agent.learning_starts=100",
    "agent.batch_size=16",
    "agent.target_every=20",
    "agent.train_every=8",
    "agent.updates=1",
    "env.num=8",
    "trainer.jit=off",
    "log.every=100",
    "evaluation.every=600",
    "evaluation.episodes=3",
    "evaluation.stop_at=never",
    "checkpoint.every_seconds=0.1",
    "checkpoint.max_share=1",
)


class When(Silent):
    """A console that does something once, when the run has made so many steps."""

    def __init__(self, step: int, act: Callable[[], None]) -> None:
        super().__init__()
        self._step, self._act = step, act
        self.at: int | None = None

    def update(self, step: int, *, value: float | None = None) -> None:
        if self.at is None and step >= self._step:
            self.at = step
            self._act()


class SmallRun:
    """A run that can be begun and gone on with.

    Args:
        root: Where it is written.
        sets: Further settings.
    """

    def __init__(self, root: Path, *sets: str, env: str = "CartPole-v1", steps: int = STEPS) -> None:
        self.host = PluginHost.from_environment()
        self.experiment = self._resolve(root, [*SETS, *sets], {"env": env, "agent": "dqn", "steps": steps})
        self.folder = RunFolder.create(root, env, "dqn", self.experiment, ["advdl", "agent", "train"])

    def begin(self, console: Silent | None = None) -> Outcome:
        return begin(self.experiment, lambda: self.folder, self.host, console or Silent())

    def resume(self, console: Silent | None = None, steps: int | None = None) -> int:
        return resume(self.folder.path, steps=steps, host=self.host, console=console or Silent())

    def checkpoints(self) -> list[int]:
        return sorted(int(path.name.removeprefix("step-")) for path in self.folder.checkpoints.glob("step-*"))

    def _resolve(self, root: Path, sets: Sequence[str], command_line: dict[str, object]) -> Experiment:
        return resolve_experiment(
            self.host, command_line=command_line, sets=sets, config_file=None, environ={}, folder=root
        )
