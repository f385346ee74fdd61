"""Figures of an evaluation's samples.

``of`` is a column: ``return`` or ``length`` of an agent's episodes, or what a learner of data measures. When it is left
out, it is the one that training is judged by.
"""

import math
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt, Interval

from advdl.plugin import Samples


class Quantile:
    """The value that a share of the samples does not exceed; the median by default.

    Args:
        share: The share.
        of: The column.
    """

    def __init__(self, *, share: Annotated[float, Interval(ge=0, le=1)] = 0.5, of: str | None = None) -> None:
        self._share, self._of = share, of

    def __call__(self, samples: Samples) -> float:
        """Interpolates between samples, as ``numpy.quantile`` does."""
        return float(np.quantile(samples[self._of or samples.main], self._share))


class TailMean:
    """The mean of the worst samples: the conditional value at risk (Rockafellar & Uryasev 2000).

    Args:
        share: The share of samples that count, one at least.
        end: Which are the worst: the lowest or the highest.
        of: The column.
    """

    def __init__(
        self,
        *,
        share: Annotated[float, Gt(0), Interval(le=1)] = 0.1,
        end: Literal["lowest", "highest"] = "lowest",
        of: str | None = None,
    ) -> None:
        self._share, self._end, self._of = share, end, of

    def __call__(self, samples: Samples) -> float:
        """Averages ``ceil(share * n)`` samples."""
        values = np.sort(np.asarray(samples[self._of or samples.main], np.float64))
        count = math.ceil(self._share * len(values))
        return float(np.mean(values[:count] if self._end == "lowest" else values[-count:]))


class ShareAbove:
    """The share of samples that reach a threshold: a success rate.

    Args:
        threshold: What has to be reached.
        of: The column.
    """

    def __init__(self, *, threshold: float, of: str | None = None) -> None:
        self._threshold, self._of = threshold, of

    def __call__(self, samples: Samples) -> float:
        """Counts."""
        return float(np.mean(np.asarray(samples[self._of or samples.main]) >= self._threshold))
