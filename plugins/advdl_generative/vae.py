"""VAE: an encoder, a decoder, and a bound on the likelihood of x."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import keras
import tensorflow as tf
from annotated_types import Ge, Gt, MinLen

from advdl.training import Aux, Batch, DataSpec, Objective, fold
from advdl_generative import autoencoders
from advdl_generative.family import Family, at, check_image
from advdl_generative.likelihoods import Likelihood, Name, build_likelihood, likelihood_name
from advdl_generative.spaces import Layout

Count = Annotated[int, Gt(0)]


class VAE(Family):
    """Variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114), conditional where the data are (Sohn 2015).

    Maximises ``E log p(x | z, c) - beta * KL(q(z | x, c) || N(0, I))``. Figures are in nats a sample, and an upper
    bound of ``-log p(x | c)``: a density's where the likelihood is Gaussian, a probability's where it is not.

    Args:
        spec: Images whose sides are multiples of 4, vectors, or zeros and ones; c is nothing, a class or a vector.
        latent: Latent dimensions.
        beta: Weight of the KL divergence (Higgins et al. 2017).
        free_bits: Nats a latent dimension that the KL divergence costs nothing for (Kingma et al. 2016).
        likelihood: Of x given z: ``bernoulli`` (bounded data, as is usual for images), ``categorical`` (the exact one
            of whole numbers), ``gaussian`` (a mean and a deviation a component). ``auto``: Bernoulli for images with
            bounds and for zeros and ones, else Gaussian.
        network: ``convolutional`` is for images, ``dense`` for anything; ``auto`` takes the first where it can.
        filters: Channels of the two convolutions.
        units: Widths of the fully connected layers; after convolutions, of which the first counts.
        draw: Whether a sample is drawn from the likelihood, or is its mean.
        importance_samples: How many draws of z the tighter bound ``iwae`` takes when held-out data are judged
            (Burda et al. 2016, arXiv:1509.00519); 0 leaves it out.
    """

    score = "negative_elbo"
    better = "lower"

    def __init__(
        self,
        spec: DataSpec,
        *,
        latent: Count = 2,
        beta: Annotated[float, Ge(0)] = 1.0,
        free_bits: Annotated[float, Ge(0)] = 0.0,
        likelihood: Name = "auto",
        network: Literal["auto", "convolutional", "dense"] = "auto",
        filters: tuple[Count, Count] = (32, 64),
        units: Annotated[tuple[Count, ...], MinLen(1)] = (256, 256),
        draw: bool = True,
        importance_samples: Annotated[int, Ge(0)] = 0,
    ) -> None:
        layout = Layout.of(spec.x, "vae")
        resolved = likelihood_name(likelihood, layout)
        super().__init__(spec, "vae", "standard" if resolved == "gaussian" else "bounds")
        self._likelihood: Likelihood = build_likelihood(resolved, layout, self.scaling)
        self._latent, self._beta, self._free_bits = latent, beta, free_bits
        self._draw, self._importance_samples = draw, importance_samples
        self._bits = math.log(2.0) * layout.size
        self.encoder, self.decoder = self._networks(network, filters, units)

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """Encoder, decoder and scales."""
        return {"encoder": self.encoder, "decoder": self.decoder, **self.fixed}

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """That of z."""
        return (self._latent,)

    def objectives(self) -> Sequence[Objective]:
        """One: the bound."""
        variables = self.encoder.trainable_variables + self.decoder.trainable_variables
        return [Objective("elbo", self._loss, variables)]

    def generate(self, noise: tf.Tensor, c: tf.Tensor | None, seed: tf.Tensor) -> tf.Tensor:
        """Decodes z."""
        parameters = self.decoder([noise, *self.encode(c)])
        return self._likelihood.draw(parameters, seed) if self._draw else self._likelihood.mean(parameters)

    def reconstruct(self, batch: Batch) -> tf.Tensor:
        """Encodes x and decodes the mean of z: what the latent keeps of x, in x's units and dtype."""
        mean, _ = self.posterior(batch)
        return self._likelihood.mean(self.decoder([mean, *self.condition_of(batch)]))

    def posterior(self, batch: Batch, *, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns mean and log-variance of ``q(z | x, c)``, each ``[batch, latent]``."""
        inputs = [self.scaling(batch["x"]), *self.condition_of(batch)]
        mean, log_variance = tf.split(self.encoder(inputs, training=training), 2, axis=-1)
        return mean, tf.clip_by_value(log_variance, -20.0, 20.0)

    def measure(self, batch: Batch, seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Returns the bound in nats and in bits a component, its two parts, and where asked the tighter bound."""
        reconstruction, divergence = self._parts(batch, seed, training=False)
        kl = tf.reduce_sum(divergence, axis=-1)
        figures = {
            "negative_elbo": kl - reconstruction,
            "reconstruction": -reconstruction,
            "kl": kl,
            "bits_per_dim": (kl - reconstruction) / self._bits,
        }
        if self._importance_samples:
            figures["iwae"] = -self.importance_bound(batch, fold(seed, 1), self._importance_samples)
        return figures

    def importance_bound(self, batch: Batch, seed: tf.Tensor, draws: int) -> tf.Tensor:
        """Returns a bound of ``log p(x | c)`` that rises to it with the number of draws, ``[batch]`` in nats.

        ``log mean exp(log p(x | z) + log p(z) - log q(z | x))`` over draws of z from q (Burda et al. 2016).
        """
        mean, log_variance = self.posterior(batch)
        condition = self.condition_of(batch)

        def weight(index: tf.Tensor) -> tf.Tensor:
            noise = tf.random.stateless_normal(tf.shape(mean), at(seed, index))
            z = mean + tf.exp(0.5 * log_variance) * noise
            prior = -0.5 * tf.reduce_sum(tf.square(z) - tf.square(noise) - log_variance, axis=-1)
            return self._likelihood.log_prob(self.decoder([z, *condition]), batch["x"]) + prior

        weights = tf.map_fn(weight, tf.range(draws), fn_output_signature=tf.float32)
        return tf.reduce_logsumexp(weights, axis=0) - math.log(draws)

    def _loss(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        reconstruction, divergence = self._parts(batch, seed, training=True)
        counted = tf.maximum(tf.reduce_mean(divergence, axis=0), self._free_bits)
        likelihood = tf.reduce_mean(reconstruction)
        kl = tf.reduce_mean(tf.reduce_sum(divergence, axis=-1))
        loss = self._beta * tf.reduce_sum(counted) - likelihood
        return loss, {"kl": kl, "reconstruction": -likelihood, "negative_elbo": kl - likelihood}

    def _parts(self, batch: Batch, seed: tf.Tensor, *, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns ``log p(x | z)`` of one z, ``[batch]``, and the KL divergence, ``[batch, latent]``."""
        mean, log_variance = self.posterior(batch, training=training)
        z = mean + tf.exp(0.5 * log_variance) * tf.random.stateless_normal(tf.shape(mean), seed)
        parameters = self.decoder([z, *self.condition_of(batch)], training=training)
        return self._likelihood.log_prob(parameters, batch["x"]), divergence_from_normal(mean, log_variance)

    def _networks(
        self, network: str, filters: tuple[int, int], units: tuple[int, ...]
    ) -> tuple[keras.Model, keras.Model]:
        layout, outputs = self.layout, self._likelihood.outputs
        if network == "dense" or (network == "auto" and not layout.is_image):
            encoder = autoencoders.dense_encoder(layout.shape, units, self._latent, self.width, "encoder")
            back = tuple(reversed(units))
            return encoder, autoencoders.dense_decoder(layout.shape, outputs, back, self._latent, self.width, "decoder")
        check_image(layout, autoencoders.HALVINGS, "vae")
        encoder = autoencoders.convolutional_encoder(
            layout.shape, filters, units[0], self._latent, self.width, "encoder"
        )
        return encoder, autoencoders.convolutional_decoder(
            layout.shape, outputs, filters, self._latent, self.width, "decoder"
        )


def divergence_from_normal(mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """Returns ``KL(N(mean, variance) || N(0, 1))`` in nats, of each component."""
    return 0.5 * (tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance)
