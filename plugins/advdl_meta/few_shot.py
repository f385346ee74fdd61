"""N-way K-shot classification over a labelled image data set."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import gymnasium
import numpy as np
import tensorflow as tf
from annotated_types import Ge, Interval

from advdl.errors import UsageError
from advdl.plugin import Choice, Factory, Part
from advdl.training import Batch, DataSpec, Tasks, fold
from advdl_meta.labelled_images import Images, classes_of, rotated, without


class FewShot(Tasks):
    """Tell ``ways`` classes apart after ``shots`` images of each (Vinyals et al. 2016, Finn et al. 2017).

    A task is a draw of classes, numbered in the order in which they were drawn, and of images. Held-out tasks are made
    of classes that training never sees. Whether queries are judged together (transductive) or one by one is the
    adapter's option ``transductive``.

    Args:
        data: Labelled images, such as ``{name = "folder", path = "letters.zip", size = 28, colours = "grey"}``.
        held_out_data: Where the held-out classes are; a share of ``data``'s if left out. Classes that ``data`` has too,
            by the last two folders of their names, are left out.
        held_out: Share of the classes that is held out, where there are no ``held_out_data``.
        split: Seed of that choice.
        ways: Classes in a task.
        shots: Support images of a class.
        queries: Query images of a class.
        rotations: Whether training takes each class, turned by 90, 180 and 270 degrees, for three classes more.

    Raises:
        UsageError: The data are no labelled images, there are too few classes, or a class has too few images.
    """

    def __init__(
        self,
        *,
        data: Annotated[Factory, Part("data")] = Choice("digits"),
        held_out_data: Annotated[Factory, Part("data")] | None = None,
        held_out: Annotated[float, Interval(gt=0, lt=1)] = 0.5,
        split: Annotated[int, Ge(0)] = 0,
        ways: Annotated[int, Ge(2)] = 5,
        shots: Annotated[int, Ge(1)] = 1,
        queries: Annotated[int, Ge(1)] = 5,
        rotations: bool = True,
    ) -> None:
        classes = classes_of(data().load())
        if held_out_data is not None:
            unseen = without(classes_of(held_out_data().load()), classes)
        else:
            classes, unseen = _split(classes, held_out, split)
        self._ways, self._shots, self._drawn = ways, shots, shots + queries
        self.training = tuple(classes)
        self.unseen = tuple(unseen)
        self._shape = _shape([*classes.values(), *unseen.values()])
        pools = {False: rotated(classes) if rotations else classes, True: unseen}
        self._pools = {held: _Pool(pool, ways, self._drawn, held_out=held) for held, pool in pools.items()}

    @property
    def spec(self) -> DataSpec:
        """An image and its class in the task."""
        image = gymnasium.spaces.Box(0, 255, self._shape, np.uint8)
        return DataSpec(image, gymnasium.spaces.Discrete(self._ways))

    def sample(self, seed: tf.Tensor, count: int, *, held_out: bool = False) -> Batch:
        """Draws classes and images of them, none twice."""
        images = self._pools[held_out].draw(seed, count, self._ways, self._drawn)

        def part(cut: tf.Tensor) -> Batch:
            each = cut.shape[2]
            labels = tf.repeat(tf.range(self._ways, dtype=tf.int64), each)
            x = tf.reshape(cut, [count, self._ways * each, *self._shape])
            return {"x": x, "c": tf.tile(labels[None], [count, 1])}

        return {"support": part(images[:, :, : self._shots]), "query": part(images[:, :, self._shots :])}


class _Pool:
    """The images of some classes, in one tensor."""

    def __init__(self, classes: Mapping[str, Images], ways: int, drawn: int, *, held_out: bool) -> None:
        which = "held-out" if held_out else "training"
        if len(classes) < ways:
            raise UsageError(
                f"{ways}-way tasks need {ways} {which} classes, and there are {len(classes)}",
                hint="lower tasks.ways, or give more classes",
            )
        few = next((name for name, images in classes.items() if len(images) < drawn), None)
        if few is not None:
            raise UsageError(
                f"a task draws {drawn} images of a class, and class {few!r} has {len(classes[few])}",
                hint="lower tasks.shots or tasks.queries",
            )
        sizes = np.array([len(images) for images in classes.values()])
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        # A variable: as a constant it would be compiled into the program, and copied with it.
        self._images = tf.Variable(np.concatenate(list(classes.values())), trainable=False)
        self._sizes, self._starts = tf.constant(sizes, tf.int32), tf.constant(starts, tf.int32)
        self._largest = int(sizes.max())

    def draw(self, seed: tf.Tensor, count: int, ways: int, drawn: int) -> tf.Tensor:
        """Draws images, ``[count, ways, drawn, height, width, 1]``."""
        classes = _draw_without_return(fold(seed, 0), [count, self._sizes.shape[0]], ways)
        sizes, starts = tf.gather(self._sizes, classes), tf.gather(self._starts, classes)
        chosen = _draw_without_return(fold(seed, 1), [count, ways, self._largest], drawn, below=sizes)
        return tf.gather(self._images, starts[..., None] + chosen)


def _draw_without_return(
    seed: tf.Tensor, shape: Sequence[int], drawn: int, below: tf.Tensor | None = None
) -> tf.Tensor:
    """Draws different numbers along the last axis, each below its size or below a number."""
    scores = tf.random.stateless_uniform(shape, seed, alg="philox")
    if below is not None:
        scores = tf.where(tf.range(shape[-1]) < below[..., None], scores, -1.0)
    return tf.math.top_k(scores, drawn).indices


def _split(classes: dict[str, Images], share: float, seed: int) -> tuple[dict[str, Images], dict[str, Images]]:
    names = sorted(classes)
    order = np.random.default_rng(seed).permutation(len(names))
    count = round(share * len(names))
    unseen = {names[index] for index in order[:count]}
    return (
        {name: images for name, images in classes.items() if name not in unseen},
        {name: images for name, images in classes.items() if name in unseen},
    )


def _shape(images: Sequence[Any]) -> tuple[int, ...]:
    shapes = {image.shape[1:] for image in images}
    if len(shapes) > 1:
        raise UsageError(
            "the images of the classes differ in size",
            hint="scale them all: --set tasks.data.size=28",
        )
    return tuple(shapes.pop())
