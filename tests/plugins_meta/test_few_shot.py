"""Few-shot tasks: classes kept apart, images drawn once, folders and zips read."""

import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from advdl.errors import CorruptError, UsageError
from advdl.testing import check_backbone, check_tasks, component
from advdl.training import Adapter, Tasks

SEED = tf.constant([3, 4], tf.int32)


def few_shot(**options: object) -> Tasks:
    tasks: Tasks = component("tasks", "few-shot", **options)()
    return tasks


def folder(path: Path | str, **options: object) -> dict[str, object]:
    return {"name": "folder", "path": str(path), "colours": "grey", **options}


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Six classes of four images; the grey level says the class, one pixel the image."""
    for index in range(6):
        folder = tmp_path / "letters" / "Greek" / f"class{index}"
        folder.mkdir(parents=True)
        for number in range(4):
            pixels = np.full((6, 6), 20 * index, np.uint8)
            pixels[0, 0] = 200 + number
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "letters"


def test_digits_keep_the_contract() -> None:
    check_tasks(component("tasks", "few-shot"))


def test_training_and_held_out_tasks_share_no_class(letters: Path) -> None:
    tasks = few_shot(data=folder(letters), ways=3, shots=1, queries=2, rotations=False)
    seen = {
        held_out: {*np.unique(tasks.sample(SEED, 30, held_out=held_out)["support"]["x"][:, :, 3, 3])}
        for held_out in (False, True)
    }
    assert {len(levels) for levels in seen.values()} == {3}
    assert seen[False].isdisjoint(seen[True])
    assert seen[False] | seen[True] == {20 * index for index in range(6)}


def test_an_image_is_in_a_task_once_and_has_its_class(letters: Path) -> None:
    tasks = few_shot(data=folder(letters), ways=3, shots=2, queries=2, rotations=False)
    drawn = tf.nest.map_structure(lambda field: field.numpy(), tasks.sample(SEED, 20))
    images = np.concatenate([drawn[part]["x"] for part in ("support", "query")], axis=1)
    labels = np.concatenate([drawn[part]["c"] for part in ("support", "query")], axis=1)
    for task, label in zip(images, labels, strict=True):
        levels, numbers = task[:, 3, 3, 0], task[:, 0, 0, 0]
        assert len({*zip(levels, numbers, strict=True)}) == 12
        assert len({*zip(levels, label, strict=True)}) == 3
    orders = {tuple(task[label == 0][0, 3, 3]) for task, label in zip(images, labels, strict=True)}
    assert len(orders) > 1  # a class' number is another in every task


def test_rotations_make_classes_for_training_only(letters: Path) -> None:
    tasks = few_shot(data=folder(letters), ways=3, shots=1, queries=1, rotations=True)
    corners = {held: tasks.sample(SEED, 30, held_out=held)["support"]["x"].numpy() for held in (False, True)}
    assert (corners[True][:, :, 0, 0] >= 200).all()
    assert not (corners[False][:, :, 0, 0] >= 200).all()


def test_a_zip_is_read_like_a_folder(letters: Path, tmp_path: Path) -> None:
    archive = tmp_path / "letters.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in letters.rglob("*.png"):
            file.write(path, path.relative_to(letters.parent))
    options = {"ways": 3, "queries": 1}
    ours, theirs = (few_shot(data=folder(data, size=6), **options).sample(SEED, 5) for data in (archive, letters))
    assert all(np.array_equal(a, b) for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True))


def test_held_out_data_lose_the_classes_that_training_has(letters: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="need 3 held-out classes, and there are 0"):
        few_shot(data=folder(letters), held_out_data=folder(letters.parent), ways=3, queries=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ways": 6}, "6-way tasks need 6 held-out classes, and there are 5"),
        ({"shots": 170, "queries": 20}, "a task draws 190 images of a class"),
        ({"data": folder("nowhere")}, "nowhere is neither a folder nor a zip file"),
        ({"data": {"name": "env", "env": "CartPole-v1"}}, "few-shot tasks need data with classes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        few_shot(**options)


def test_images_of_several_sizes_are_scaled_or_refused(letters: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(letters / "Greek/class0/9.png")
    with pytest.raises(UsageError, match="pixels and"):
        few_shot(data=folder(letters), ways=3, queries=1)
    assert few_shot(data=folder(letters, size=12), ways=3, queries=1).spec.x.shape == (12, 12, 1)


def test_a_broken_image_is_named(letters: Path) -> None:
    (letters / "Greek/class0/0.png").write_bytes(b"no image")
    with pytest.raises(CorruptError, match=r"class0/0\.png"):
        few_shot(data=folder(letters), ways=3)


def test_conv4_keeps_the_contract() -> None:
    check_backbone(component("backbone", "conv4", filters=4))


def test_its_convolution_is_one() -> None:
    from advdl_meta.conv4 import ConvolutionByMatrix

    layer = ConvolutionByMatrix(3, name="conv")
    images = tf.random.stateless_normal([2, 5, 6, 2], SEED)
    ours = layer(images)
    kernel = tf.reshape(layer.kernel.value, [3, 3, 2, 3])
    np.testing.assert_allclose(ours, tf.nn.conv2d(images, kernel, 1, "SAME"), atol=1e-5)


def conv_adapter(**options: object) -> tuple[Tasks, Adapter]:
    keras.utils.set_random_seed(2)
    tasks = few_shot(ways=3, shots=2, queries=2)
    backbone = {"name": "conv4", "filters": 4, "blocks": 2}
    learner = component("learner", "classifier", backbone=backbone)(tasks.spec)
    return tasks, component("adapter", "maml", learning_rate=0.4, **options)(learner)


def test_a_network_with_batch_normalisation_is_meta_trained(caplog: pytest.LogCaptureFixture) -> None:
    """Every operation of the second derivative is batched over the tasks: none falls back to a loop."""
    tasks, adapter = conv_adapter()
    (objective,) = adapter.objectives()
    batch, values = tasks.sample(SEED, 2), [variable.value for variable in objective.variables]
    statistics = [adapter.pure.state_variables[index].numpy() for index in adapter.pure.statistics]
    with tf.GradientTape() as tape:
        loss, _ = objective.loss(batch, SEED)
    gradients = tape.gradient(loss, values)
    assert all(np.isfinite(gradient).all() and np.abs(gradient).max() > 0 for gradient in gradients)
    after = [adapter.pure.state_variables[index].numpy() for index in adapter.pure.statistics]
    assert len(statistics) == 4
    assert all(not np.array_equal(a, b) for a, b in zip(statistics, after, strict=True))
    assert "while_loop" not in caplog.text


@pytest.mark.parametrize("transductive", [False, True])
def test_queries_are_judged_one_by_one_unless_transductive(transductive: bool) -> None:
    tasks, adapter = conv_adapter(transductive=transductive)
    task = tf.nest.map_structure(lambda field: field[0], tasks.sample(SEED, 1, held_out=True))
    values = [tf.convert_to_tensor(variable.value) for variable in adapter.meta_variables]

    def figures(query: dict[str, tf.Tensor]) -> np.ndarray:
        whole = {"support": task["support"], "query": query}
        fast = adapter.inner_step(values, adapter.start(values), whole["support"], SEED, step=0)
        seen = adapter.judged_as(values, fast, whole, SEED, step=1)
        return adapter.pure.measure(seen, query, SEED)["cross_entropy"].numpy()

    alone = {name: field[:1] for name, field in task["query"].items()}
    same = np.allclose(figures(task["query"])[:1], figures(alone), rtol=1e-4)
    assert same is not transductive
