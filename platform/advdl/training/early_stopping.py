"""EarlyStopping: ends training that no longer gets better."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(slots=True)
class EarlyStopping:
    """Counts evaluations since the last one that was better than all before it (Prechelt 1998).

    Attributes:
        patience: Evaluations in succession without improvement that end training; 0 never does.
        min_change: How much better than the best a score must be to count as an improvement.
        better: Whether a higher or a lower score is better.
        best: The best score so far; None before the first.
        waited: Evaluations since then.
    """

    patience: int
    min_change: float = 0.0
    better: Literal["higher", "lower"] = "higher"
    best: float | None = None
    waited: int = 0

    def update(self, score: float) -> bool:
        """Takes an evaluation's score and says whether to stop; a NaN is no improvement."""
        gain = 0.0 if self.best is None else score - self.best if self.better == "higher" else self.best - score
        if (self.best is None and score == score) or gain > self.min_change:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
        return 0 < self.patience <= self.waited

    def as_meta(self) -> dict[str, Any]:
        """Returns what changes as plain data, for the checkpoint."""
        return {"best": self.best, "waited": self.waited}

    def restore(self, meta: Mapping[str, Any]) -> None:
        """Takes back what ``as_meta`` gave."""
        self.best, self.waited = meta["best"], meta["waited"]
