"""Tasks: a family of tasks to adapt to. The contract of those plugins."""

import abc

import tensorflow as tf

from advdl.training.data_learner import DataSpec
from advdl.training.learner import Batch


class Tasks(abc.ABC):
    """A distribution of tasks; each is a small data set in two parts.

    A learner adapts to a task on its *support* and is judged on its *query*. A subclass is called as
    ``cls(**options)``; its keyword-only arguments are its options.
    """

    @property
    @abc.abstractmethod
    def spec(self) -> DataSpec:
        """What one sample of a task is; the same for every task."""

    @abc.abstractmethod
    def sample(self, seed: tf.Tensor, count: int, *, held_out: bool = False) -> Batch:
        """Draws tasks; traceable.

        Args:
            seed: Stateless seed, int32 of shape [2]. The same seed gives the same tasks, compiled by XLA or not: a
                draw names its algorithm, as in ``tf.random.stateless_uniform(..., alg="philox")``.
            count: How many tasks.
            held_out: Tasks that training never sees: they come from other classes, or from a continuum of which no
                value is drawn twice.

        Returns:
            ``{"support": {"x": [count, shots, ...], "c": [count, shots, ...]}, "query": {...}}`` in the dtypes of
            ``spec``. The query may be larger for held-out tasks.
        """
