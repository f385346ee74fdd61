"""GAN: a generator, and a discriminator that tells it what gives its samples away."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import keras
import tensorflow as tf
from annotated_types import Ge, Gt, Interval, MinLen

from advdl.training import Aux, Batch, DataSpec, Objective, fold
from advdl_generative import adversaries
from advdl_generative.adversaries import gradient_norms
from advdl_generative.family import Family, check_image, track, twins

Count = Annotated[int, Gt(0)]
Share = Annotated[float, Interval(ge=0, lt=1)]


class GAN(Family):
    """Generative adversarial networks (Goodfellow et al. 2014, arXiv:1406.2661), DCGAN's for images.

    Two objectives, ``discriminator`` and then ``generator``, each with the optimizer that ``[optimizers.NAME]`` gives
    it; a ``beta_1`` of 0 to 0.5 suits both. Samples come from a moving average of the generator's weights.

    Args:
        spec: Images whose sides are multiples of 4, vectors, or zeros and ones; c is nothing, a class or a vector.
        loss: ``non-saturating`` (Goodfellow 2014), kept stable by R1 (Mescheder et al. 2018, arXiv:1801.04406), or
            ``wasserstein`` with a gradient penalty (WGAN-GP: Gulrajani et al. 2017, arXiv:1704.00028).
        penalty: Weight of R1's ``|gradient|^2 / 2`` at real data, or of WGAN-GP's ``(|gradient| - 1)^2`` between real
            and generated data; 0 for none.
        noise: Size of the noise.
        network: ``convolutional`` is for images, ``dense`` for anything; ``auto`` takes the first where it can.
        filters: DCGAN's widest layer; the discriminator's first convolution has a quarter.
        units: Widths of fully connected layers.
        dropout: Share of the discriminator's features that are dropped.
        average: Memory of the generator's average weights, an update.
        draws: Samples that each held-out sample is compared with when they are judged.
    """

    score = "energy_score"
    better = "lower"

    def __init__(
        self,
        spec: DataSpec,
        *,
        loss: Literal["non-saturating", "wasserstein"] = "non-saturating",
        penalty: Annotated[float, Ge(0)] = 1.0,
        noise: Count = 64,
        network: Literal["auto", "convolutional", "dense"] = "auto",
        filters: Annotated[int, Ge(4)] = 256,
        units: Annotated[tuple[Count, ...], MinLen(1)] = (256, 256),
        dropout: Share = 0.3,
        average: Share = 0.999,
        draws: Annotated[int, Ge(2)] = 8,
    ) -> None:
        super().__init__(spec, "gan", "bounds")
        self._wasserstein, self._penalty = loss == "wasserstein", penalty
        self._noise, self._average, self._draws = noise, average, draws
        self._convolutional = network == "convolutional" or (network == "auto" and self.layout.is_image)
        if self._convolutional:
            check_image(self.layout, adversaries.HALVINGS, "gan")
        self.generator, self.averaged = twins(lambda name: self._new_generator(filters, units, name), "generator")
        self.discriminator = self._new_discriminator(filters // 4, units, dropout)

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """Both networks, the generator's average and the scales."""
        networks = {"generator": self.generator, "average": self.averaged, "discriminator": self.discriminator}
        return networks | self.fixed

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """That of z."""
        return (self._noise,)

    def objectives(self) -> Sequence[Objective]:
        """Two: the discriminator learns first, then the generator from it."""
        return [
            Objective("discriminator", self._discriminator_loss, self.discriminator.trainable_variables),
            Objective("generator", self._generator_loss, self.generator.trainable_variables),
        ]

    def after_update(self, update: tf.Tensor) -> None:
        """Moves the generator's average."""
        track(self.generator, self.averaged, update, self._average)

    def generate(self, noise: tf.Tensor, c: tf.Tensor | None, seed: tf.Tensor) -> tf.Tensor:
        """Runs the average generator."""
        del seed
        return self.scaling.undo(self.averaged([noise, *self.encode(c)]))

    def measure(self, batch: Batch, seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Returns the energy score: a GAN has no likelihood."""
        return {"energy_score": self.energy_score(batch, seed, draws=self._draws)}

    def _discriminator_loss(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        real, condition = self.scaling(batch["x"]), self.condition_of(batch)
        fake = self._fake(batch, seed)
        real_logit = self._judge(real, condition, fold(seed, 1))
        fake_logit = self._judge(fake, condition, fold(seed, 2))
        wrong = real_logit - fake_logit
        if self._wasserstein:
            loss = -tf.reduce_mean(wrong)
        else:
            loss = tf.reduce_mean(tf.nn.softplus(-real_logit) + tf.nn.softplus(fake_logit))
        aux = {"real_logit": tf.reduce_mean(real_logit), "fake_logit": tf.reduce_mean(fake_logit)}
        if not self._penalty:
            return loss, aux
        penalty = self._gradient_penalty(real, fake, condition, fold(seed, 3))
        return loss + self._penalty * penalty, {**aux, "penalty": penalty}

    def _generator_loss(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        logit = self._judge(self._fake(batch, seed), self.condition_of(batch), fold(seed, 1))
        loss = -tf.reduce_mean(logit) if self._wasserstein else tf.reduce_mean(tf.nn.softplus(-logit))
        return loss, {}

    def _gradient_penalty(
        self, real: tf.Tensor, fake: tf.Tensor, condition: list[tf.Tensor], seed: tf.Tensor
    ) -> tf.Tensor:
        """R1 at real data, or WGAN-GP's at random points between real and generated data."""
        at = real
        if self._wasserstein:
            share = tf.random.stateless_uniform([tf.shape(real)[0], *[1] * (len(real.shape) - 1)], seed)
            at = fake + share * (real - fake)
        norms = gradient_norms(lambda x: self._judge(x, condition, fold(seed, 1)), at)
        return tf.reduce_mean(tf.square(norms - 1.0) if self._wasserstein else 0.5 * tf.square(norms))

    def _fake(self, batch: Batch, seed: tf.Tensor) -> tf.Tensor:
        noise = tf.random.stateless_normal([tf.shape(batch["x"])[0], self._noise], seed)
        return self.generator([noise, *self.condition_of(batch)], training=True)

    def _judge(self, x: tf.Tensor, condition: list[tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
        return self.discriminator([x, seed, *condition], training=True)

    def _new_generator(self, filters: int, units: tuple[int, ...], name: str) -> keras.Model:
        shape, width = self.layout.shape, self.width
        last = "tanh" if self.layout.is_bounded else "linear"
        if self._convolutional:
            return adversaries.dcgan_generator(shape, self._noise, filters, width, last, name)
        return adversaries.dense_generator(shape, self._noise, units, width, last, name)

    def _new_discriminator(self, filters: int, units: tuple[int, ...], dropout: float) -> keras.Model:
        shape, width = self.layout.shape, self.width
        if self._convolutional:
            return adversaries.dcgan_discriminator(shape, filters, dropout, width, "discriminator")
        return adversaries.dense_discriminator(shape, units, dropout, width, "discriminator")
