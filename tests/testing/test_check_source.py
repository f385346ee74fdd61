"""Every clause of a source's contract is broken once, and named."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from advdl.rl import Spaces, UniformReplay
from advdl.testing import ContractError, check_source

SPACES = Spaces(gymnasium.spaces.Box(-1.0, 1.0, (4,), np.float32), gymnasium.spaces.Discrete(3))


class Good(UniformReplay):
    def __init__(self) -> None:
        sizes = {"capacity": 64, "batch_size": 8, "learning_starts": 16, "train_every": 8, "updates": 2}
        super().__init__(SPACES, num_envs=8, **sizes)
        self.count = 0


def broken(**methods: Any) -> type[Good]:
    return type("Broken", (Good,), methods)


def sampling(change: Any) -> Any:
    """A ``sample`` whose batch is changed: ``change(source, batch)``."""

    def sample(self: Good, seed: Any, index: Any) -> Any:
        return change(self, dict(Good.sample(self, seed, index)))

    return sample


def counted(self: Good, batch: dict[str, Any]) -> dict[str, Any]:
    self.count += 1
    return {**batch, "reward": batch["reward"] + float(self.count)}


def falls(self: Good, env_steps: int) -> int:
    return -(env_steps // 8)


def hidden(self: Good) -> dict[str, Any]:
    """Leaves out what it stored."""
    return {"added": Good.state(self)["added"]}


def forgets_count(self: Good) -> dict[str, Any]:
    return {name: value for name, value in Good.state(self).items() if name != "added"}


class Tired(Good):
    """Counts its transitions outside of its state."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = tf.Variable(0, dtype=tf.int64)

    def add(self, transition: Any) -> None:
        super().add(transition)
        self.hidden.assign_add(1)

    def updates_due(self, env_steps: Any) -> Any:
        return super().updates_due(env_steps) - tf.where(self.hidden > 0, tf.constant(1, tf.int64), 0)


NAMES = map(str, range(100))


@pytest.mark.parametrize(
    ("factory", "clause"),
    [
        (lambda: 1 / 0, "it can be built"),
        (broken(feedback=None), "it has a source's methods"),
        (broken(state=lambda self: 1 / 0), "state() returns its variables by name"),
        (broken(state=lambda self: {"added": 3}), "state() returns its variables by name"),
        (
            broken(state=lambda self: {next(NAMES): value for value in Good.state(self).values()}),
            "built again, it has the same variables by the same names",
        ),
        (broken(updates_in=lambda self, steps: steps / 8), "updates_in(env_steps) is a whole number that never falls"),
        (broken(updates_in=falls), "updates_in(env_steps) is a whole number that never falls"),
        (broken(updates_in=lambda self, steps: 1), "no update is due before the first step"),
        (broken(updates_in=lambda self, steps: 0), "it makes updates"),
        (
            broken(add=lambda self, transition: transition["reward"].numpy()),
            "add(transition) takes one step of every env copy, and can be traced",
        ),
        (broken(updates_due=lambda self, steps: tf.zeros([2])), "updates_due(env_steps) is an int64 scalar"),
        (
            broken(updates_due=lambda self, steps: tf.constant(9, tf.int64)),
            "updates_in counts the updates that are due",
        ),
        (
            broken(sample=sampling(lambda self, batch: {**batch, "reward": batch["reward"][:3]})),
            "sample(seed, index) returns named tensors [batch, ...] of one batch size, and can be traced",
        ),
        (broken(sample=sampling(counted)), "the same seed and index give the same batch"),
        (
            broken(sample=sampling(lambda self, batch: {**batch, "observation": batch["observation"][:, :2]})),
            "observations keep their shape and dtype",
        ),
        (broken(state=hidden), "its variables are its whole state: restored, it goes on as if it had never stopped"),
        (Tired, "its variables are its whole state: restored, it goes on as if it had never stopped"),
        (
            broken(feedback=lambda self, batch, report: 1 / 0),
            "feedback(batch, report) takes what the update made of a batch",
        ),
    ],
)
def test_a_source_that_breaks_a_clause(factory: Any, clause: str) -> None:
    with pytest.raises(ContractError) as caught:
        check_source(factory, SPACES)
    assert caught.value.clause == clause, caught.value.message
    assert caught.value.page == "docs/plugins.md#source"


def test_a_good_source_passes() -> None:
    check_source(Good, SPACES)


def test_what_an_update_reports_reaches_feedback() -> None:
    seen: list[str] = []

    def feedback(self: Good, batch: Any, report: Any) -> None:
        seen.extend(report)

    check_source(broken(feedback=feedback), SPACES, report=lambda batch: {"q/td_error": batch["reward"]})
    assert seen == ["q/td_error"]
