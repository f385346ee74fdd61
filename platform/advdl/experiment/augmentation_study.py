"""A study of whether synthetic data help an agent: four arms, the same seeds, and what the differences are worth.

More updates on the same data help by themselves. So an arm with a model is compared with one that makes as many
updates without it, and with one whose model was never fitted.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advdl.errors import CorruptError
from advdl.experiment.config import Experiment
from advdl.experiment.console import Console
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.runner import begin

if TYPE_CHECKING:
    from advdl.plugin.host import PluginHost

ARMS: Mapping[str, str] = {
    "default": "the agent's own number of updates",
    "matched": "as many updates as with the model, and no model",
    "model": "with the model",
    "untrained": "with the same model at random weights",
}

_RESULTS = "results.json"

Settle = Callable[[Mapping[str, Any], str], Experiment]
"""``settle(given, family)`` resolves an experiment."""

Begin = Callable[[Experiment, str], RunFolder]
"""``begin(experiment, arm)`` makes the folder of an arm's run."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to.

    Attributes:
        arm: Which arm.
        seed: The run's seed.
        final: Mean return of the final evaluation.
        area: Mean over training's evaluations of the mean return: how early it was good.
        steps: Steps of training's evaluations.
        curve: Mean returns at these steps.
        run: The run's folder.
    """

    arm: str
    seed: int
    final: float
    area: float
    steps: tuple[int, ...]
    curve: tuple[float, ...]
    run: str


def experiments(settle: Settle, seeds: Iterable[int], factor: int) -> list[tuple[str, int, Experiment]]:
    """Resolves every run of the study, seed by seed: what is there is comparable even if it is stopped half-way.

    Args:
        settle: Resolves an experiment with the study's own settings.
        seeds: The seeds.
        factor: How many times as many updates the arms other than ``default`` make.

    Raises:
        UsageError: A setting is wrong, or the agent has no option ``updates``.
    """
    usual = int(settle({}, "augmented").get("agent.updates"))
    arms: Mapping[str, tuple[str, Mapping[str, Any]]] = {
        "default": ("agent", {"agent.updates": usual}),
        "matched": ("agent", {"agent.updates": usual * factor}),
        "model": ("augmented", {"agent.updates": usual * factor}),
        "untrained": ("augmented", {"agent.updates": usual * factor, "data_model.untrained": True}),
    }
    # Every run is as long, and what is kept is the last: an arm must not profit from a lucky evaluation.
    fair = {"evaluation.stop_at": "never", "checkpoint.keep_best": False}
    return [
        (arm, seed, settle({**fair, **given, "seed": seed}, family))
        for seed in seeds
        for arm, (family, given) in arms.items()
    ]


class Study:
    """The runs of a study in a folder; started again, it makes those that are missing.

    Args:
        folder: Where results and runs are.
        host: The plugins.
        console: Shows progress.
        new_folder: Makes the folder of a run.
    """

    def __init__(self, folder: Path, host: "PluginHost", console: Console, new_folder: Begin) -> None:
        self._folder, self._host, self._console, self._new_folder = folder, host, console, new_folder

    def run(self, planned: Sequence[tuple[str, int, Experiment]]) -> list[Result]:
        """Makes the runs that are missing, one after the other.

        Returns:
            The results of the planned runs.

        Raises:
            CorruptError: The results of earlier runs cannot be read.
            AdvdlError: A run failed or was stopped.
        """
        known = self._known()
        for arm, seed, experiment in planned:
            if (arm, seed) not in known:
                self._console.message(f"{arm}, seed {seed}: {ARMS[arm]}")
                known[arm, seed] = self._one(arm, seed, experiment)
                self._write(list(known.values()))
        return [known[arm, seed] for arm, seed, _ in planned]

    def _one(self, arm: str, seed: int, experiment: Experiment) -> Result:
        outcome = begin(experiment, lambda: self._new_folder(experiment, arm), self._host, self._console)
        lines = (outcome.folder.path / "evaluations.jsonl").read_text().splitlines()
        during = [line for line in map(json.loads, lines) if line["kind"] == "during"]
        curve = tuple(float(line["return/mean"]) for line in during)
        return Result(
            arm,
            seed,
            final=outcome.verdict.figures["return/mean"],
            area=sum(curve) / len(curve),
            steps=tuple(int(line["step"]) for line in during),
            curve=curve,
            run=str(outcome.folder.path),
        )

    def _known(self) -> dict[tuple[str, int], Result]:
        file = self._folder / _RESULTS
        if not file.exists():
            return {}
        try:
            rows = [
                Result(**{**row, "steps": tuple(row["steps"]), "curve": tuple(row["curve"])})
                for row in json.loads(file.read_text())
            ]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CorruptError(f"{file} cannot be read: {error}", hint="remove it, or give another --output") from error
        return {(result.arm, result.seed): result for result in rows}

    def _write(self, results: Sequence[Result]) -> None:
        from advdl.experiment.files import write_atomically

        self._folder.mkdir(parents=True, exist_ok=True)
        content = json.dumps([asdict(result) for result in results], indent=1)
        write_atomically(self._folder / _RESULTS, content.encode())
