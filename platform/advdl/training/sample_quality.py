"""Measures of a sampler's samples beside real ones: how alike they are, how varied, and whether they were copied."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from advdl.errors import UsageError
from advdl.training.dataset import Dataset

Rows = NDArray[Any]

_HIDDEN = 64
_COMPONENTS = 32
_ENOUGH = 10_000
"""Rows that a classifier learns from at most: more take minutes, and hardly change what it looks at."""
_BLOCK = 1_024
"""Rows whose distances to all others are held at once: those of 48,000 rows to each other are 18 GB."""


def frechet_distance(one: Rows, two: Rows) -> float:
    """Returns the squared Frechet distance of Gaussians fitted to two sets of features (Heusel et al. 2017).

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))``. It depends on the feature space and falls with the number of
    samples: compare figures only where both are the same.

    Args:
        one: ``[samples, features]``.
        two: ``[samples, features]``.
    """
    means = [rows.mean(axis=0) for rows in (one, two)]
    covariances = [np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (one, two)]
    root = _root(covariances[0])
    product = np.linalg.eigvalsh(root @ covariances[1] @ root)
    cross = np.sqrt(np.maximum(product, 0.0)).sum()
    return float(np.square(means[0] - means[1]).sum() + sum(map(np.trace, covariances)) - 2.0 * cross)


def precision_recall(real: Rows, drawn: Rows, neighbours: int = 3) -> tuple[float, float]:
    """Returns how many samples lie among the real ones, and how many real ones among the samples.

    A point lies among others if it is nearer to one of them than that one's k-th neighbour (Kynkaanniemi et al. 2019,
    arXiv:1904.06991).

    Args:
        real: Features ``[samples, features]``.
        drawn: Features ``[samples, features]``.
        neighbours: k.
    """
    real_radii, drawn_radii = _radii(real, neighbours), _radii(drawn, neighbours)
    among_real, reached = np.zeros(len(drawn), np.bool_), np.zeros(len(real), np.bool_)
    for block in _blocks(drawn):
        across = distances(drawn[block], real)
        among_real[block] = (across <= real_radii[None, :]).any(axis=1)
        reached |= (across <= drawn_radii[block, None]).any(axis=0)
    return float(among_real.mean()), float(reached.mean())


def nearest(rows: Rows, others: Rows) -> Rows:
    """Returns the distance of each row to the nearest of the others, ``[rows]``."""
    return np.concatenate([distances(rows[block], others).min(axis=1) for block in _blocks(rows)])


def _radii(rows: Rows, neighbours: int) -> Rows:
    """Returns the distance of each row to its k-th neighbour, itself being none."""
    found = [np.partition(distances(rows[block], rows), neighbours, axis=1)[:, neighbours] for block in _blocks(rows)]
    return np.concatenate(found)


def _blocks(rows: Rows) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, len(rows), _BLOCK)]


def distances(one: Rows, two: Rows) -> Rows:
    """Returns Euclidean distances ``[n, m]``."""
    first, second = one.astype(np.float64), two.astype(np.float64)
    squares = np.square(first).sum(axis=1)[:, None] + np.square(second).sum(axis=1)[None, :]
    found: Rows = np.sqrt(np.maximum(squares - 2.0 * first @ second.T, 0.0))
    return found


@dataclass(frozen=True, slots=True)
class Features:
    """A space in which samples are compared.

    Attributes:
        name: Says which: figures of other spaces are no comparison.
        of: ``of(x) -> [samples, features]``.
    """

    name: str
    of: Callable[[Rows], Rows]


def features_of(real: Dataset) -> Features:
    """Chooses a feature space by the training data alone, the same for every sampler of them.

    Where there are classes, the hidden units of a classifier of one layer; else principal components.

    Raises:
        UsageError: scikit-learn is not installed, which trains the classifier.
    """
    flat, scale = _flat(real.x), max(float(np.abs(real.x).max()), 1e-9)
    if isinstance(real.spec.c, gymnasium.spaces.Discrete) and real.c is not None:
        fitted = sklearn("neural_network").MLPClassifier((_HIDDEN,), max_iter=600, random_state=0)
        rows = np.random.default_rng(0).permutation(len(flat))[:_ENOUGH] if len(flat) > _ENOUGH else slice(None)
        fitted.fit(flat[rows] / scale, real.c[rows])
        weights, bias = fitted.coefs_[0], fitted.intercepts_[0]
        name = f"{_HIDDEN} hidden units of a classifier of the training data"
        return Features(name, lambda x: np.maximum(_flat(x) / scale @ weights + bias, 0.0))
    mean = flat.mean(axis=0)
    axes = np.linalg.svd(flat - mean, full_matrices=False)[2][:_COMPONENTS].T
    spread = max(float(flat.std()), 1e-9)
    return Features(f"{axes.shape[1]} principal components", lambda x: (_flat(x) - mean) @ axes / spread)


def quality(training: Dataset, held_out: Dataset, drawn: Dataset, features: Features) -> dict[str, float]:
    """Measures samples.

    Args:
        training: What the sampler was trained on.
        held_out: What it was not.
        drawn: Its samples; their c is what they were drawn given.
        features: The feature space.

    Returns:
        ``frechet`` to the training data (whose size a fair number of samples has), ``precision``, ``recall``;
        ``copying``, the mean distance of samples to their nearest training sample, as a share of that of held-out data:
        well below 1, training data have been learnt by heart. With classes also ``tstr``, the accuracy on held-out data
        of a support vector machine trained on the samples, ``tstr_recall``, the least share of a class that it knows,
        and ``class_recall``, the least ``recall`` of a class.
    """
    spaces = [features.of(data.x) for data in (training, held_out, drawn)]
    precision, recall = precision_recall(spaces[0], spaces[2])
    flat = [_flat(data.x) for data in (training, held_out, drawn)]
    copying = nearest(flat[2], flat[0]).mean() / max(nearest(flat[1], flat[0]).mean(), 1e-9)
    figures = {
        "frechet": frechet_distance(spaces[0], spaces[2]),
        "precision": precision,
        "recall": recall,
        "copying": float(copying),
    }
    if isinstance(training.spec.c, gymnasium.spaces.Discrete):
        figures |= _by_class(training, held_out, drawn, spaces)
    return figures


def sklearn(module: str) -> Any:
    """Imports a part of scikit-learn.

    Raises:
        UsageError: It is not installed.
    """
    import importlib

    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        message = "the quality of samples of classes is measured with scikit-learn, which is not installed"
        raise UsageError(message, hint="pip install 'advdl[data]'") from error


def _by_class(training: Dataset, held_out: Dataset, drawn: Dataset, spaces: list[Rows]) -> dict[str, float]:
    assert training.c is not None
    assert held_out.c is not None
    assert drawn.c is not None
    scale = max(float(np.abs(training.x).max()), 1e-9)
    machine = sklearn("svm").SVC(C=10.0).fit(_flat(drawn.x) / scale, drawn.c)
    known = machine.predict(_flat(held_out.x) / scale) == held_out.c
    recalls = [
        precision_recall(spaces[0][training.c == value], spaces[2][drawn.c == value])[1]
        for value in np.unique(training.c)
        if (drawn.c == value).sum() > 3
    ]
    by_class = [float(known[held_out.c == value].mean()) for value in np.unique(held_out.c)]
    return {"tstr": float(known.mean()), "tstr_recall": min(by_class), "class_recall": min(recalls, default=0.0)}


def _flat(x: Rows) -> Rows:
    return x.reshape(len(x), -1).astype(np.float64)


def _root(matrix: Rows) -> Rows:
    values, vectors = np.linalg.eigh(matrix)
    root: Rows = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root
