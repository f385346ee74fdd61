"""What `generative_speed.py` compares with: generative models in plain Keras, each a model with a train_step.

They follow keras.io's examples (variational autoencoder, DCGAN with an overridden train_step, denoising diffusion) and
TensorFlow's DCGAN tutorial, in their layers, losses and order of steps.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers


def count(*models: Any) -> int:
    return sum(math.prod(variable.shape) for model in models for variable in model.trainable_variables)


class Vae(keras.Model):
    """Encoder and decoder of keras.io's example."""

    def __init__(self) -> None:
        super().__init__()
        image = keras.Input((28, 28, 1))
        x = layers.Conv2D(32, 3, 2, "same", activation="relu")(image)
        x = layers.Conv2D(64, 3, 2, "same", activation="relu")(x)
        x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
        self.encoder = keras.Model(image, [layers.Dense(2)(x), layers.Dense(2)(x)])
        z = keras.Input((2,))
        x = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(z))
        x = layers.Conv2DTranspose(64, 3, 2, "same", activation="relu")(x)
        x = layers.Conv2DTranspose(32, 3, 2, "same", activation="relu")(x)
        self.decoder = keras.Model(z, layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(x))
        self.means = [keras.metrics.Mean(name) for name in ("loss", "reconstruction", "kl")]

    @property
    def metrics(self) -> list[Any]:
        """Means of the losses."""
        return self.means

    def train_step(self, images: Any) -> dict[str, Any]:
        """A step."""
        with tf.GradientTape() as tape:
            mean, log_variance = self.encoder(images)
            z = mean + tf.exp(0.5 * log_variance) * tf.random.normal(tf.shape(mean))
            entropy = keras.losses.binary_crossentropy(images, self.decoder(z))
            reconstruction = tf.reduce_mean(tf.reduce_sum(entropy, axis=(1, 2)))
            kl = -0.5 * (1 + log_variance - tf.square(mean) - tf.exp(log_variance))
            kl = tf.reduce_mean(tf.reduce_sum(kl, axis=1))
            loss = reconstruction + kl
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        for tracker, value in zip(self.means, (loss, reconstruction, kl), strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.means}


class Gan(keras.Model):
    """DCGAN of TensorFlow's tutorial; the steps follow each other as in keras.io's example."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.generator = keras.Sequential(
            [
                keras.Input((100,)),
                layers.Dense(7 * 7 * 256, use_bias=False),
                *_normalised(),
                layers.Reshape((7, 7, 256)),
                layers.Conv2DTranspose(128, 5, 1, "same", use_bias=False),
                *_normalised(),
                layers.Conv2DTranspose(64, 5, 2, "same", use_bias=False),
                *_normalised(),
                layers.Conv2DTranspose(1, 5, 2, "same", activation="tanh"),
            ]
        )
        self.discriminator = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Conv2D(64, 5, 2, "same"),
                *_dropped(),
                layers.Conv2D(128, 5, 2, "same"),
                *_dropped(),
                layers.Flatten(),
                layers.Dense(1),
            ]
        )
        self.optimizers = [keras.optimizers.Adam(rate) for _ in range(2)]
        for optimizer, model in zip(self.optimizers, (self.discriminator, self.generator), strict=True):
            optimizer.build(model.trainable_variables)
        self.entropy = keras.losses.BinaryCrossentropy(from_logits=True)
        self.means = [keras.metrics.Mean(name) for name in ("discriminator", "generator")]

    @property
    def metrics(self) -> list[Any]:
        """Means of the losses."""
        return self.means

    def train_step(self, images: Any) -> dict[str, Any]:
        """A step of the discriminator, then one of the generator."""
        size = tf.shape(images)[0]
        with tf.GradientTape() as tape:
            real = self.discriminator(images, training=True)
            fake = self.discriminator(self.generator(tf.random.normal([size, 100]), training=True), training=True)
            first = self.entropy(tf.ones_like(real), real) + self.entropy(tf.zeros_like(fake), fake)
        self._apply(tape, first, 0, self.discriminator)
        with tf.GradientTape() as tape:
            fake = self.discriminator(self.generator(tf.random.normal([size, 100]), training=True), training=True)
            second = self.entropy(tf.ones_like(fake), fake)
        self._apply(tape, second, 1, self.generator)
        for tracker, value in zip(self.means, (first, second), strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.means}

    def _apply(self, tape: tf.GradientTape, loss: Any, which: int, model: keras.Model) -> None:
        gradients = tape.gradient(loss, model.trainable_weights)
        self.optimizers[which].apply_gradients(zip(gradients, model.trainable_weights, strict=True))


class Denoiser(keras.Model):
    """EDM's loss on a network, and its moving average, weight by weight as in keras.io's example."""

    def __init__(self, network: Any, average: Any) -> None:
        super().__init__()
        self.network, self.average = network, average
        self.average.trainable = False
        self.mean = keras.metrics.Mean("loss")

    @property
    def metrics(self) -> list[Any]:
        """Mean of the loss."""
        return [self.mean]

    def train_step(self, images: Any) -> dict[str, Any]:
        """A step."""
        images = 0.5 * images
        sigma = tf.exp(1.2 * tf.random.normal([tf.shape(images)[0], 1, 1, 1]) - 1.2)
        total = tf.square(sigma) + 0.25
        noisy = images + sigma * tf.random.normal(tf.shape(images))
        with tf.GradientTape() as tape:
            seen = self.network([noisy * tf.math.rsqrt(total), tf.math.log(sigma[:, 0, 0, 0]) / 4.0], training=True)
            denoised = noisy * 0.25 / total + seen * sigma * 0.5 * tf.math.rsqrt(total)
            loss = tf.reduce_mean(total / tf.square(0.5 * sigma) * tf.square(denoised - images))
        gradients = tape.gradient(loss, self.network.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.network.trainable_weights, strict=True))
        for weight, average in zip(self.network.weights, self.average.weights, strict=True):
            average.assign(0.999 * average + 0.001 * weight)
        self.mean.update_state(loss)
        return {"loss": self.mean.result()}


def _normalised() -> list[Any]:
    return [layers.BatchNormalization(), layers.LeakyReLU(negative_slope=0.2)]


def _dropped() -> list[Any]:
    return [layers.LeakyReLU(negative_slope=0.2), layers.Dropout(0.3)]


def vae(rate: float) -> tuple[keras.Model, int]:
    model = Vae()
    model.compile(keras.optimizers.Adam(rate))
    return model, count(model.encoder, model.decoder)


def gan(rate: float) -> tuple[keras.Model, int]:
    model = Gan(rate)
    model.compile()
    return model, count(model.generator, model.discriminator)


def diffusion(rate: float) -> tuple[keras.Model, int]:
    from peer_generative_speed import OPTIONS, SHAPE

    from advdl_generative.denoisers import unet

    options = OPTIONS["diffusion"]
    network, average = (
        unet(SHAPE, options["width"], options["levels"], options["depth"], 0, name) for name in ("network", "average")
    )
    model = Denoiser(network, average)
    model.compile(keras.optimizers.Adam(rate))
    return model, count(network)


MODELS: dict[str, Callable[[float], tuple[keras.Model, int]]] = {"vae": vae, "gan": gan, "diffusion": diffusion}
