"""The name that a hint suggests."""

import pytest

from advdl.errors import nearest


@pytest.mark.parametrize(
    ("given", "known", "meant"),
    [
        ("gama", ["gamma", "trace"], "gamma"),
        ("GAMMA", ["gamma", "trace"], "gamma"),
        ("normalisation", ["activation", "norm", "pooling"], "norm"),
        ("resnet19", ["resnet", "resnet10", "resnet18"], "resnet18"),
        ("densenets_of_mine", ["dens", "densenet", "sense"], "densenet"),
        ("activaton", ["act", "activation"], "activation"),
        ("speed", ["gamma", "trace"], None),
        ("dqnagent", ["dqn", "ppo"], None),
    ],
)
def test_it_is_the_closest_or_what_the_word_begins_with(given, known, meant):
    assert nearest(given, known) == meant
