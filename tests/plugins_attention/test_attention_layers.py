import keras
import numpy as np
import pytest
import tensorflow as tf

from advdl.errors import UsageError
from advdl.testing import check_layer, component
from advdl_attention.attention import MultiHeadAttention, SelfAttention, attend
from advdl_attention.positions import LearnedPositions, SinusoidalPositions
from advdl_attention.transformer import TransformerBlock

LAYERS = ["self_attention", "multi_head_attention", "transformer", "sinusoidal_positions", "learned_positions"]
HEADS, SIZE, VALUE_SIZE, WIDTH = 3, 4, 5, 7


def tokens(*shape):
    return tf.constant(np.random.default_rng(1).normal(size=shape).astype(np.float32))


def pair(causal=False):
    """Ours and Keras' with the same weights."""
    mine = MultiHeadAttention(heads=HEADS, key_dim=SIZE, value_dim=VALUE_SIZE, causal=causal)
    other = keras.layers.MultiHeadAttention(HEADS, SIZE, VALUE_SIZE)
    return mine, other


def share_weights(mine, other):
    """Keras keeps heads on an axis of their own."""
    rng = np.random.default_rng(2)
    mine.set_weights([rng.normal(size=w.shape) * 0.5 for w in mine.get_weights()])
    other.set_weights([w.reshape(o.shape) for w, o in zip(mine.get_weights(), other.get_weights(), strict=True)])


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_keeps_the_contract(name):
    check_layer(component("layer", name))


@pytest.mark.parametrize("case", ["self", "cross", "keys", "causal", "padding", "pairs", "all"])
def test_multi_head_attention_is_that_of_keras_forward_and_backward(case):
    mine, other = pair(causal=case in ("causal", "all"))
    query = tokens(2, 5, WIDTH)
    value = tokens(2, 6, 4) if case in ("cross", "keys", "all") else query
    key = tokens(2, 6, 3) if case == "keys" else None
    keys = value.shape[1]
    padding = np.arange(keys) < np.array([[keys], [keys - 2]]) if case in ("padding", "all") else None
    rng = np.random.default_rng(3)
    pairs = (rng.random((2, 5, keys)) < 0.6) | np.eye(5, keys, dtype=bool) if case in ("pairs", "all") else None
    ours_options = {"mask" if value is query else "value_mask": padding, "attention_mask": pairs, "return_scores": True}
    their_options = {
        "value_mask": padding,
        "attention_mask": pairs,
        "return_attention_scores": True,
        "use_causal_mask": case in ("causal", "all"),
    }
    mine(query, None if value is query else value, key)
    other(query, value, key)
    share_weights(mine, other)
    weight = tokens(2, 5, WIDTH)
    sources = [one for one in (query, value, key) if one is not None]
    results = []
    for layer, options in ((mine, ours_options), (other, their_options)):
        with tf.GradientTape() as tape:
            tape.watch(sources)
            own = layer is mine and value is query
            output, scores = layer(query, None if own else value, key, **options)
            loss = tf.reduce_sum(output * weight)
        gradients = tape.gradient(loss, [*sources, *(v.value for v in layer.trainable_variables)])
        results.append((output, scores, gradients))
    (output, scores, gradients), (their_output, their_scores, their_gradients) = results
    np.testing.assert_allclose(output, their_output, atol=1e-4)
    np.testing.assert_allclose(scores, their_scores, atol=1e-5)
    assert len(gradients) == len(their_gradients)
    for found, expected in zip(gradients, their_gradients, strict=True):
        np.testing.assert_allclose(np.reshape(found, expected.shape), expected, atol=2e-4)
    without = mine(query, None if value is query else value, key, **{**ours_options, "return_scores": False})
    np.testing.assert_allclose(without, output, atol=1e-5)


def test_scores_are_weights_over_what_may_be_seen():
    layer = MultiHeadAttention(heads=2, causal=True)
    x = tokens(3, 5, 8)
    output, scores = layer(x, return_scores=True)
    assert output.shape == (3, 5, 8)
    assert scores.shape == (3, 2, 5, 5)
    np.testing.assert_allclose(np.sum(scores, axis=-1), 1, atol=1e-5)
    assert not np.triu(np.asarray(scores), k=1).any()
    inputs = keras.Input((5, 8))
    symbolic = layer(inputs, return_scores=True)
    assert [one.shape for one in symbolic] == [(None, 5, 8), (None, 2, 5, 5)]


def test_who_may_see_nothing_gets_zeros():
    layer = MultiHeadAttention(heads=2, bias=False)
    x = tokens(2, 3, 8)
    mask = np.array([[True, True, False], [False, False, False]])
    output, scores = layer(x, mask=mask, return_scores=True)
    assert np.asarray(output[0]).any()
    assert not np.asarray(output[1]).any()
    assert not np.asarray(scores[1]).any()
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x, mask=mask) ** 2)
    assert np.isfinite(tape.gradient(loss, x)).all()


def test_what_is_masked_changes_nothing():
    for layer in (MultiHeadAttention(heads=2), SelfAttention(), TransformerBlock(heads=2)):
        x = tokens(1, 4, 8)
        changed = tf.concat([x[:, :3], -x[:, 3:]], axis=1)
        mask = np.array([[True, True, True, False]])
        np.testing.assert_allclose(layer(x, mask=mask)[:, :3], layer(changed, mask=mask)[:, :3], atol=1e-5)
        assert np.abs(layer(x)[:, :3] - layer(changed)[:, :3]).max() > 1e-3


def test_a_keras_mask_is_taken():
    ids = np.array([[3, 1, 0, 0]])
    embedded = keras.layers.Embedding(5, 8, mask_zero=True)(ids)
    layer = MultiHeadAttention(heads=2)
    output, scores = layer(embedded, return_scores=True)
    assert not np.asarray(scores)[..., 2:].any()
    np.testing.assert_array_equal(keras.src.backend.get_keras_mask(output), [[True, True, False, False]])
    _, scores = TransformerBlock(heads=2)(LearnedPositions()(embedded), return_scores=True)
    assert not np.asarray(scores)[..., 2:].any()


@pytest.mark.parametrize("layer", [MultiHeadAttention, SelfAttention, TransformerBlock])
def test_causal_means_that_what_comes_later_changes_nothing(layer):
    x = tokens(1, 5, 8)
    changed = tf.concat([x[:, :3], -x[:, 3:]], axis=1)
    causal = layer(causal=True)
    np.testing.assert_allclose(causal(x)[:, :3], causal(changed)[:, :3], atol=1e-5)
    assert np.abs(causal(x)[:, 3:] - causal(changed)[:, 3:]).max() > 1e-3


def test_self_attention_is_the_formula():
    x, layer = tokens(2, 5, 6), SelfAttention(units=4)
    output, scores = layer(x, return_scores=True)
    parameters = layer.get_weights()
    query, key, value = (x @ parameters[i] + parameters[i + 1] for i in (0, 2, 4))
    weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) / np.sqrt(4.0))
    np.testing.assert_allclose(scores, weights, atol=1e-5)
    np.testing.assert_allclose(output, tf.matmul(weights, value), atol=1e-4)


@pytest.mark.parametrize("layer", [MultiHeadAttention(heads=2), SelfAttention()])
def test_pixels_are_tokens(layer):
    image = tokens(2, 3, 4, 8)
    found = layer(image)
    expected = layer(tf.reshape(image, (2, 12, 8)))
    assert found.shape == image.shape
    np.testing.assert_allclose(tf.reshape(found, (2, 12, 8)), expected, atol=1e-5)


def test_half_precision_takes_its_softmax_in_full():
    layer = MultiHeadAttention(heads=2, causal=True, dtype="mixed_float16")
    output, scores = layer(100.0 * tokens(2, 4, 8), return_scores=True)
    assert output.dtype == tf.float16
    assert np.isfinite(output).all()
    np.testing.assert_allclose(np.sum(tf.cast(scores, tf.float32), axis=-1), 1, atol=2e-3)


@pytest.mark.parametrize(("dtype", "digits"), [(tf.float16, 1e-3), (tf.bfloat16, 1e-2)])
def test_scores_beyond_float16_are_told_apart(dtype, digits):
    def score(first, second):
        """Two keys whose scores are ``first`` and ``second``: the query is 256, four times, and scaled by a half."""
        query = tf.fill([1, 1, 1, 4], tf.constant(256.0, dtype))
        keys = tf.constant([first / 512, second / 512], tf.float32)[None, :, None, None] * tf.ones([1, 2, 1, 4])
        value = tf.constant([1.0, 0.0], dtype)[None, :, None, None]
        return float(attend(query, tf.cast(keys, dtype), value)[0][0, 0, 0, 0])

    assert score(131072.0, 262144.0) == 0.0
    assert score(262144.0, 131072.0) == 1.0
    assert score(131072.0, 131072.0) == 0.5
    assert score(0.0, 1.0) == pytest.approx(1 / (1 + np.e), rel=digits)


def test_dropout_drops_only_in_training():
    layer, x = TransformerBlock(heads=2, dropout=0.5), tokens(2, 4, 8)
    np.testing.assert_array_equal(layer(x, training=False), layer(x, training=False))
    assert np.abs(layer(x, training=True) - layer(x, training=True)).max() > 1e-3


@pytest.mark.parametrize("layer", [MultiHeadAttention(heads=3), TransformerBlock(heads=3)])
def test_heads_must_divide_the_width(layer):
    with pytest.raises(UsageError, match="a width of 8 cannot be divided among 3 heads") as caught:
        layer(tokens(1, 2, 8))
    assert "such as 9" in caught.value.hint


def test_vectors_are_refused():
    with pytest.raises(UsageError, match=r"cannot see inputs of shape \[3, 8\]"):
        MultiHeadAttention(heads=2)(tokens(3, 8))


@pytest.mark.parametrize("norm_first", [True, False])
def test_the_transformer_block_is_its_parts(norm_first):
    block, x = TransformerBlock(heads=2, norm_first=norm_first), tokens(2, 5, 8)
    found = block(x)
    first, second = block._norms

    def network(value):
        return block._narrow(block._wide(value))

    if norm_first:
        middle = x + block._attention(first(x))
        expected = middle + network(second(middle))
    else:
        middle = first(x + block._attention(x))
        expected = second(middle + network(middle))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert block._wide.units == 32


def test_without_positions_order_does_not_matter():
    x, block = tokens(1, 5, 8), TransformerBlock()
    order = [3, 1, 0, 4, 2]
    np.testing.assert_allclose(block(tf.gather(x, order, axis=1)), tf.gather(block(x), order, axis=1), atol=1e-4)


@pytest.mark.parametrize("width", [8, 7])
def test_sinusoidal_positions_are_the_formula(width):
    zeros = np.zeros((2, 6, width), np.float32)
    expected = [
        [(np.cos if i % 2 else np.sin)(p / 1000.0 ** (2 * (i // 2) / width)) for i in range(width)] for p in range(6)
    ]
    found = SinusoidalPositions(period=1000.0)(zeros)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    np.testing.assert_array_equal(found[0], found[1])


def test_learned_positions_are_a_vector_each():
    layer, zeros = LearnedPositions(deviation=0.1), np.zeros((2, 200, 8), np.float32)
    found = np.asarray(layer(zeros))
    assert layer.get_weights()[0].shape == (200, 8)
    np.testing.assert_array_equal(found[1], layer.get_weights()[0])
    assert 0.05 < found.std() < 0.15
