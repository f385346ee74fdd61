"""RecurrentLatents: a VAE sees, a recurrent network remembers and foresees (Ha & Schmidhuber 2018)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import keras
import tensorflow as tf
from annotated_types import Ge, Gt, MinLen

from advdl.rl import Dynamics, Foreseen, Spaces, action_size, encode_action
from advdl.training import Aux, Batch, DataSpec, Objective, fold
from advdl_generative import outcomes
from advdl_generative.autoencoders import HALVINGS
from advdl_generative.mixture import Mixture
from advdl_generative.outcomes import Outcomes
from advdl_generative.vae import VAE

Count = Annotated[int, Gt(0)]


class Memory(NamedTuple):
    """What is known when an action is to be chosen, float32.

    Attributes:
        latent: What is seen, encoded: ``[batch, latent]``.
        output: The recurrent network's output, ``[batch, memory]``.
        cell: Its cells, ``[batch, memory]``.
    """

    latent: tf.Tensor
    output: tf.Tensor
    cell: tf.Tensor


class RecurrentLatents(Dynamics):
    """World Models (Ha & Schmidhuber 2018, arXiv:1803.10122): a variational autoencoder sees, an LSTM foresees.

    What is seen becomes a latent vector; the LSTM says of the next one a mixture of Gaussians a number, the reward and
    the termination.

    Both are learnt together, the LSTM from draws of the latents and without a say in them. An agent sees the decoded
    latents, so it can be any, and plays in the env itself with nothing of the model.

    Args:
        env_spaces: Observations are images or vectors; actions ``Discrete`` or a ``Box``.
        latent: Latent dimensions.
        beta: Weight of the autoencoder's KL divergence.
        network: Of the autoencoder: ``convolutional`` for images whose sides are multiples of 4, ``dense`` for
            anything; ``auto`` takes the first where it can.
        filters: Channels of its two convolutions.
        units: Widths of its fully connected layers.
        memory: Width of the LSTM.
        mixtures: Gaussians a latent dimension.
        temperature: How much more is left to chance in the model than it says: an agent that learns in an uncertain
            world exploits its errors less.
        length: Steps in the segments that it learns from.
        context: Steps after which an imagined episode begins, seen so that there is something to remember.
    """

    def __init__(
        self,
        env_spaces: Spaces,
        *,
        latent: Count = 32,
        beta: Annotated[float, Ge(0)] = 1.0,
        network: Literal["auto", "convolutional", "dense"] = "auto",
        filters: tuple[Count, Count] = (32, 64),
        units: Annotated[tuple[Count, ...], MinLen(1)] = (256,),
        memory: Count = 256,
        mixtures: Count = 5,
        temperature: Annotated[float, Gt(0)] = 1.0,
        length: Annotated[int, Ge(2)] = 16,
        context: Count = 4,
    ) -> None:
        super().__init__(env_spaces)
        self._actions = action_size(env_spaces.action)
        chosen = _network(network, env_spaces)
        self.vae = VAE(
            DataSpec(env_spaces.observation),
            latent=latent,
            beta=beta,
            network=chosen,
            filters=filters,
            units=units,
            draw=False,
        )
        self._latent, self._mixtures, self._temperature = latent, mixtures, temperature
        self._length, self._context = length, context
        self.cell = keras.layers.LSTMCell(memory, name="cell")
        self.cell.build((None, latent + self._actions))
        self.head = keras.layers.Dense(3 * mixtures * latent + outcomes.SIZE, name="head", dtype="float32")
        self.head.build((None, memory))
        self.outcomes = Outcomes()

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """The autoencoder, the LSTM, what it says, and scales."""
        return {**self.vae.models, "cell": self.cell, "head": self.head, **self.outcomes.fixed}

    @property
    def length(self) -> int:
        """Steps in a segment."""
        return self._length

    @property
    def context(self) -> int:
        """Steps before an imagined episode."""
        return self._context

    def objectives(self) -> Sequence[Objective]:
        """Two: the autoencoder's bound, and what the LSTM says."""
        (bound,) = self.vae.objectives()
        variables = [*self.cell.trainable_variables, *self.head.trainable_variables]
        return [
            Objective(
                "elbo", lambda batch, seed: bound.loss({"x": _rows(batch["observation"])}, seed), bound.variables
            ),
            Objective("memory", self._loss, variables),
        ]

    def adapt(self, segments: Batch) -> None:
        """Reads the scales of what is seen and of rewards."""
        self.vae.adapt({"x": _rows(tf.convert_to_tensor(segments["observation"]))})
        self.outcomes.adapt(segments)

    def begin(self, segments: Batch) -> Memory:
        """Goes through the segment, forgetting at the ends of episodes."""
        latents = self._latents(segments["observation"])[0]
        state = self._remember(latents[:, :-1], segments)[1]
        return Memory(latents[:, -1], *state)

    def foresee(self, carry: Any, action: tf.Tensor, seed: tf.Tensor) -> Foreseen:
        """Draws the next latent and decodes it."""
        state = self._step(carry.latent, encode_action(self.spaces.action, action), (carry.output, carry.cell))
        mixture, said = self._say(state[0])
        latent = mixture.draw(fold(seed, 1), self._temperature)
        seen = self.vae.generate(latent, None, seed)
        reward, terminated = self.outcomes.read(said, fold(seed, 2))
        return Foreseen(Memory(latent, *state), seen, reward, terminated)

    def _loss(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        latents, following = (
            self._draw(batch[name], fold(seed, index)) for index, name in enumerate(("observation", "next_observation"))
        )
        outputs, _ = self._remember(latents, batch)
        mixture, said = self._say(outputs)
        surprise = -tf.reduce_mean(mixture.log_density(following))
        reward, terminated = map(tf.reduce_mean, self.outcomes.errors(said, batch["reward"], batch["terminated"]))
        return surprise + reward + terminated, {"latent": surprise, "reward": reward, "terminated": terminated}

    def _remember(self, latents: tf.Tensor, segments: Batch) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        """Goes through the first steps of segments, as many as there are latents ``[batch, steps, latent]``.

        Returns:
            The LSTM's outputs ``[batch, steps, memory]``, and its state after the last step, which is forgotten where
            that step ended the episode.
        """
        actions = encode_action(self.spaces.action, segments["action"])
        goes_on = tf.cast(~(segments["terminated"] | segments["truncated"]), tf.float32)
        state = (tf.zeros([tf.shape(latents)[0], self.cell.units]),) * 2
        outputs = []
        for step in range(latents.shape[1]):
            state = self._step(latents[:, step], actions[:, step], state)
            outputs.append(state[0])
            state = (state[0] * goes_on[:, step, None], state[1] * goes_on[:, step, None])
        return tf.stack(outputs, axis=1) if outputs else latents[:, :, :0], state

    def _step(
        self, latent: tf.Tensor, action: tf.Tensor, state: tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        _, (output, cell) = self.cell(tf.concat([latent, action], axis=-1), list(state))
        return tf.cast(output, tf.float32), tf.cast(cell, tf.float32)

    def _say(self, output: tf.Tensor) -> tuple[Mixture, tf.Tensor]:
        said = self.head(output)
        return Mixture.read(said[..., outcomes.SIZE :], self._mixtures), said[..., : outcomes.SIZE]

    def _latents(self, frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns mean and log-variance of what frames ``[batch, steps, ...]`` are encoded in."""
        steps = frames.shape[1]
        parts = self.vae.posterior({"x": _rows(frames)})
        mean, log_variance = (tf.reshape(part, [-1, steps, self._latent]) for part in parts)
        return mean, log_variance

    def _draw(self, frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws latents, into which no gradient flows: what is easy to foresee is not what is worth seeing."""
        mean, log_variance = self._latents(frames)
        noise = tf.random.stateless_normal(tf.shape(mean), seed)
        return tf.stop_gradient(mean + tf.exp(0.5 * log_variance) * noise)


def _rows(frames: tf.Tensor) -> tf.Tensor:
    """Puts the steps of segments one after the other: ``[batch, steps, ...] -> [batch * steps, ...]``."""
    return tf.reshape(frames, [-1, *frames.shape[2:]])


def _network(network: str, env_spaces: Spaces) -> Literal["convolutional", "dense"]:
    shape = env_spaces.observation.shape or ()
    fits = len(shape) == 3 and not any(side % HALVINGS for side in shape[:2])
    return "convolutional" if network == "convolutional" or (network == "auto" and fits) else "dense"
