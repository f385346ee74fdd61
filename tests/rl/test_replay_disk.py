"""A replay on the disk gives what one in memory gives, and goes back to the moment of any checkpoint."""

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces
from replay_cases import FIRST, SEED, Stream

from advdl.errors import RunError
from advdl.rl import PrioritizedReplay, Spaces, UniformReplay
from advdl.rl.disk_rows import DiskRows

SIZES: dict[str, Any] = {"learning_starts": 0, "train_every": 1, "updates": 1, "batch_size": 64, "gamma": 0.9}


def both(stream: Stream, kind: Any = UniformReplay, **options: Any) -> list[Any]:
    box = spaces.Box(0, 255, (*stream.shape, stream.stack), np.uint8)
    where, sizes = Spaces(box, spaces.Discrete(3)), {"num_envs": stream.copies, "capacity": 40, **SIZES, **options}
    return [kind(where, folder=folder, **sizes) for folder in (None, "")]


def assert_same(one: Any, two: Any) -> None:
    for left, right in zip(tf.nest.flatten(one), tf.nest.flatten(two), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (UniformReplay, {}),
        (UniformReplay, {"n_step": 3, "frame_stack": 1}),
        (PrioritizedReplay, {"n_step": 2, "frame_stack": 2}),
    ],
)
def test_batches_are_those_of_a_replay_in_memory(kind: Any, options: dict[str, Any]) -> None:
    stream = Stream(4, stack=2, shape=(3,))
    memory, disk = both(stream, kind, **options)

    def add(step: Any) -> Any:
        for replay in (memory, disk):
            replay.add(step)
        return [replay.sample(SEED, FIRST) for replay in (memory, disk)]

    program = tf.function(add, autograph=False)
    for _ in range(25):
        assert_same(*program(stream.step()))
    assert {"observation", "next_observation"} & {*memory.state()} or "frames" in memory.state()
    assert not {"observation", "next_observation", "frames"} & {*disk.state()}


def test_nests_are_kept_leaf_by_leaf() -> None:
    nested = spaces.Dict({"a": spaces.Discrete(9), "b": spaces.Tuple([spaces.Box(-9.0, 9.0, (2,), np.float64)])})
    options = {"num_envs": 2, "capacity": 8, **SIZES}
    memory, disk = (UniformReplay(Spaces(nested, spaces.Discrete(3)), folder=at, **options) for at in (None, ""))

    def seen(number: int) -> Any:
        return {"a": tf.constant([number, number + 1], tf.int64), "b": (tf.fill([2, 2], float(number)),)}

    for number in range(6):
        flags = {"terminated": tf.zeros([2], tf.bool), "truncated": tf.zeros([2], tf.bool)}
        step = {"action": tf.zeros([2], tf.int64), "reward": tf.ones([2]), **flags}
        for replay in (memory, disk):
            replay.add({"observation": seen(number), "next_observation": seen(number + 1), **step})
    assert_same(memory.sample(SEED, FIRST), disk.sample(SEED, FIRST))


def test_it_goes_back_to_a_checkpoint_in_this_process_and_in_another(tmp_path: Path) -> None:
    stream = Stream(4, stack=2, shape=(3,))
    memory, disk = both(stream, frame_stack=2)
    disk.disk.keep(tmp_path)
    for _ in range(17):
        step = stream.step()
        memory.add(step), disk.add(step)
    saved = {name: value.numpy() for name, value in disk.state().items()}
    then = memory.sample(SEED, FIRST)
    for _ in range(30):  # the ring comes round, and a checkpoint is made on the way
        disk.add(stream.step())
    disk.state()
    for _ in range(5):
        disk.add(stream.step())
    _, other = both(stream, frame_stack=2)
    other.disk.keep(tmp_path)
    for replay in (disk, other):
        for name, variable in replay.state().items():
            variable.assign(saved[name])
        replay.disk.take_back()
        assert_same(replay.sample(SEED, FIRST), then)


def rows_of(folder: Path) -> DiskRows:
    rows = DiskRows("x", 7, (3,), np.dtype(np.int32), stride=2)
    rows.open(folder)
    return rows


def test_every_moment_can_be_gone_back_to_whatever_was_cut_off(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows, moments = rows_of(tmp_path), []
    for step in range(40):
        moments.append(rows.read(np.arange(7)))
        rows.write(random.permutation(7)[:3], random.integers(0, 99, (3, 3), np.int32))
        if step % 9 == 8:
            rows.flush(oldest=0)
    for moment in (60, 58, 30):
        newest = max(tmp_path.glob("x.undo-*"))
        with newest.open("ab") as file:  # the process was killed while it wrote
            file.write(b"\x05" * 11)
        rows = rows_of(tmp_path)
        rows.go_to(moment)
        np.testing.assert_array_equal(rows.read(np.arange(7)), moments[moment // 2])
        assert rows.clock == moment
    rows.go_to(0)  # rows that nobody had written then hold anything
    assert rows.clock == 0


def test_what_is_too_old_or_was_never_there_is_said(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    for step in range(8):
        rows.write(np.array([step % 7]), np.ones((1, 3), np.int32))
        rows.flush(oldest=8)
    assert len(list(tmp_path.glob("x.undo-*"))) == 5
    with pytest.raises(RunError, match=r"is that of step 16 and goes back to step 8; the checkpoint is of step 6$"):
        rows.go_to(6)
    with pytest.raises(RunError, match=r"the checkpoint is of step 18$"):
        rows.go_to(18)
    other = DiskRows("x", 8, (3,), np.dtype(np.int32), stride=2)
    with pytest.raises(RunError, match=r"x\.rows has 84 bytes, and the replay needs 96"):
        other.open(tmp_path)


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, limits[1]))
    try:
        with pytest.raises(RunError, match="there is no room for the replay's 120,000 bytes in"):
            DiskRows("x", 10_000, (3,), np.dtype(np.int32), stride=2).open(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
