import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.plugin.host import PluginHost
from advdl.training.optimizers import build_optimizer, undecayed
from advdl.training.schedules import Constant, Linear

KERAS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "nadam": keras.optimizers.Nadam,
    "adamax": keras.optimizers.Adamax,
    "lion": keras.optimizers.Lion,
    "muon": keras.optimizers.Muon,
}


@pytest.fixture(scope="module")
def host():
    return PluginHost.from_environment()


def network():
    """A network with biases, a normalisation and a bias of two dimensions."""
    rng = np.random.default_rng(0)
    inputs = keras.Input((6,))
    x = keras.layers.Dense(8, name="dense")(inputs)
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.EinsumDense("bi,ihd->bhd", (2, 4), bias_axes="hd", name="heads")(x)
    model = keras.Model(inputs, x)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return model.trainable_variables


def gradients(step, variables):
    rng = np.random.default_rng(step)
    return [tf.constant(rng.normal(size=variable.shape), tf.float32) for variable in variables]


def updates(optimizer, variables, count=5):
    for step in range(count):
        optimizer.apply(gradients(step, variables), variables)
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", KERAS)
def test_numbers_are_those_of_keras(host, name, decay):
    ours, theirs = network(), network()
    raw = {"name": name, "learning_rate": 0.01, "weight_decay": decay}
    optimizer, schedule = build_optimizer(host, raw, ours)
    assert schedule == Constant(value=0.01)
    extra = {"adam_weight_decay": decay or None} if name == "muon" else {}
    reference = KERAS[name](learning_rate=0.01, weight_decay=decay, **extra)
    reference.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    for mine, its in zip(updates(optimizer, ours), updates(reference, theirs), strict=True):
        # Adam's are nearer to the formula than Keras' own (test_basics_adam.py), by up to 6e-6 of five steps of 0.01.
        np.testing.assert_allclose(mine, its, rtol=0, atol=5e-7 if name in {"adam", "adamw"} else 0)


@pytest.mark.parametrize("name", KERAS)
def test_defaults_are_those_of_keras(host, name):
    optimizer, _ = build_optimizer(host, name, network())
    ours, theirs = optimizer.get_config(), KERAS[name]().get_config()
    differ = {key for key in theirs if key != "name" and ours[key] != pytest.approx(theirs[key])}
    assert differ == ({"learning_rate"} if name == "lion" else set())


def test_weight_decay_leaves_biases_and_normalisations_alone(host):
    variables = network()
    spared = {variable.path for variable in undecayed(variables)}
    assert {path.rsplit("/", 1)[-1] for path in spared} == {"bias", "gamma", "beta"}
    before = {variable.path: variable.numpy() for variable in variables}
    optimizer, _ = build_optimizer(host, {"name": "sgd", "learning_rate": 0.5, "weight_decay": 0.2}, variables)
    optimizer.apply([tf.zeros(variable.shape) for variable in variables], variables)
    for variable in variables:
        kept = 1.0 if variable.path in spared else 0.9
        np.testing.assert_allclose(variable.numpy(), kept * before[variable.path], rtol=1e-6)


@pytest.mark.parametrize("name", KERAS)
def test_the_learning_rate_is_set_inside_the_compiled_program(host, name):
    raw = {"name": name, "learning_rate": {"name": "linear", "start": 0.01, "end": 0.001, "over": 4}}
    variables, reference = network(), network()
    optimizer, schedule = build_optimizer(host, raw, variables)
    assert schedule == Linear(start=0.01, end=0.001, over=4)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    slots = len(optimizer.variables)

    @tf.function(jit_compile=True, autograph=False)
    def update(step, *grads):
        optimizer.learning_rate.assign(schedule(step, 100.0))
        optimizer.apply(grads, variables)

    plain, _ = build_optimizer(host, {"name": name, "learning_rate": 0.01}, reference)
    for step in range(5):
        grads = gradients(step, variables)
        update(tf.constant(float(step)), *grads)
        plain.learning_rate = schedule(step, 100.0)
        plain.apply(grads, reference)
    assert len(optimizer.variables) == slots
    assert float(optimizer.learning_rate) == pytest.approx(0.001)
    for mine, its in zip(variables, reference, strict=True):
        np.testing.assert_allclose(mine.numpy(), its.numpy(), rtol=1e-4, atol=1e-5)


def test_slots_are_there_before_the_first_update(host):
    variables = network()
    optimizer, _ = build_optimizer(host, "adam", variables)
    assert optimizer.built
    assert len(optimizer.variables) == 2 + 2 * len(variables)


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("clipnorm", "trainer.clip_norm"),
        ("clipvalue", "trainer.clip_norm"),
        ("global_clipnorm", "trainer.clip_norm"),
        ("gradient_accumulation_steps", "trainer.accumulate"),
    ],
)
def test_what_the_trainer_does_is_refused(host, option, instead):
    with pytest.raises(UsageError) as caught:
        build_optimizer(host, {"name": "adam", option: 1.0}, network(), where="optimizers.critic")
    assert caught.value.message.startswith(f"optimizers.critic.{option} cannot be set: {instead} ")


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        ("adm", "there is no optimizer 'adm'"),
        ({"name": "adam", "beta1": 0.9}, "optimizer has no option 'beta1'"),
        ({"name": "adam", "beta_1": 1.5}, r"optimizer\.beta_1 cannot be 1\.5"),
        ({"name": "adam", "learning_rate": 0}, r"optimizer\.learning_rate cannot be 0"),
        ({"name": "adam", "learning_rate": "fast"}, "there is no schedule 'fast'"),
        (
            {"name": "adam", "learning_rate": {"name": "linear"}},
            r"optimizer\.learning_rate needs a value for 'start'",
        ),
        (
            {"name": "adam", "learning_rate": {"name": "cosine", "start": 1.0, "alpha": 2.0}},
            r"optimizer\.learning_rate\.alpha cannot be 2\.0",
        ),
    ],
)
def test_wrong_settings_are_one_clear_sentence(host, raw, match):
    with pytest.raises(UsageError, match=match):
        build_optimizer(host, raw, network())
