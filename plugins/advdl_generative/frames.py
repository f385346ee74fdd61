"""DiffusedFrames: the next frame is made of noise, given the last frames and what was done (Alonso et al. 2024)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import keras
import tensorflow as tf
from annotated_types import Ge, Gt

from advdl.errors import UsageError
from advdl.rl import Dynamics, Foreseen, Spaces, action_size, encode_action, same_episode
from advdl.training import Aux, Batch, Objective, fold
from advdl_generative import outcomes
from advdl_generative.denoisers import unet
from advdl_generative.edm import DATA_DEVIATION, Edm
from advdl_generative.outcomes import Outcomes
from advdl_generative.scaling import Scaling
from advdl_generative.spaces import Layout

Count = Annotated[int, Gt(0)]


class Memory(NamedTuple):
    """What the next frame is made of.

    Attributes:
        frames: The last frames, ``[batch, history, height, width, channels]`` in the space's dtype.
        actions: What was done after each of them but the last, ``[batch, history - 1, size]``.
    """

    frames: tf.Tensor
    actions: tf.Tensor


class DiffusedFrames(Dynamics):
    """DIAMOND (Alonso et al. 2024, arXiv:2405.12399): a diffusion model of the next frame, in a few Euler steps.

    A U-Net with EDM's preconditioning (Karras et al. 2022) sees the last frames as further channels; the last actions
    and the noise level scale and shift its channels after every group norm. A second network says the reward and the
    termination of the frames and what follows them. Where an episode is younger than the history, its first frame
    stands for what was before, and no action.

    Args:
        env_spaces: Observations are images ``[height, width, channels]`` of any size; actions ``Discrete`` or a
            ``Box``.
        history: Frames that the next one follows from.
        width: Channels of the U-Net at full resolution.
        depth: Residual blocks at each resolution.
        levels: Resolutions of the U-Net, each half of the one before.
        units: Width of the second network's last layer.
        steps: Steps from noise to a frame; the U-Net runs once a step.
        sigma_min: Smallest noise when sampling, where frames have the standard deviation 0.5.
        sigma_max: Greatest noise when sampling.
        log_mean: Mean of the logarithm of the noise in training.
        log_deviation: Its standard deviation.
    """

    def __init__(
        self,
        env_spaces: Spaces,
        *,
        history: Count = 4,
        width: Annotated[int, Ge(4)] = 32,
        depth: Count = 1,
        levels: Count = 2,
        units: Count = 128,
        steps: Count = 3,
        sigma_min: Annotated[float, Gt(0)] = 0.002,
        sigma_max: Annotated[float, Gt(0)] = 5.0,
        log_mean: float = -0.4,
        log_deviation: Annotated[float, Gt(0)] = 1.2,
    ) -> None:
        super().__init__(env_spaces)
        self._history, self._steps = history, steps
        self._actions = action_size(env_spaces.action)
        self._layout = _image(env_spaces)
        self.scaling = Scaling(self._layout, "standard", spread=DATA_DEVIATION)
        self.outcomes = Outcomes()
        self._edm = Edm(sigma_min=sigma_min, sigma_max=sigma_max, log_mean=log_mean, log_deviation=log_deviation)
        shape, done = self._layout.shape, history * self._actions
        self.network = unet(shape, width, levels, depth, done, "denoiser", beside=history * shape[-1])
        seen = (*shape[:2], (history + 1) * shape[-1])
        self.judge = _judge(seen, done, width, units)

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """The two networks and the scales."""
        return {"network": self.network, "judge": self.judge, "scaling": self.scaling, **self.outcomes.fixed}

    @property
    def length(self) -> int:
        """The history."""
        return self._history

    @property
    def context(self) -> int:
        """The history."""
        return self._history

    def objectives(self) -> Sequence[Objective]:
        """Two: the denoiser's error, and that of rewards and terminations."""
        return [
            Objective("denoiser", self._denoiser_loss, self.network.trainable_variables),
            Objective("outcome", self._outcome_loss, self.judge.trainable_variables),
        ]

    def adapt(self, segments: Batch) -> None:
        """Reads the scales of frames and of rewards."""
        shape = self._layout.shape
        self.scaling.adapt(tf.reshape(tf.convert_to_tensor(segments["observation"]), [-1, *shape]))
        self.outcomes.adapt(segments)

    def begin(self, segments: Batch) -> Memory:
        """Keeps what belongs to the last step's episode."""
        frames, actions = self._remembered(segments)
        return Memory(frames, actions[:, :-1])

    def foresee(self, carry: Any, action: tf.Tensor, seed: tf.Tensor) -> Foreseen:
        """Makes the next frame of noise."""
        now = encode_action(self.spaces.action, action)[:, None]
        actions = tf.concat([carry.actions, now], axis=1)
        beside, done = self._condition(carry.frames, actions)

        def denoise(noisy: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
            return self._edm.denoise(lambda x, level: self.network([x, level, done, beside]), noisy, sigma)

        count = beside.shape[0] or tf.shape(beside)[0]
        noise = tf.random.stateless_normal([count, *self._layout.shape], fold(seed, 1))
        frame = self.scaling.undo(self._edm.sample(denoise, noise, seed, steps=self._steps, order=1))
        said = self.judge([tf.concat([beside, self.scaling(frame)], axis=-1), done])
        reward, terminated = self.outcomes.read(said, fold(seed, 2))
        frames = tf.concat([carry.frames[:, 1:], frame[:, None]], axis=1)
        return Foreseen(Memory(frames, actions[:, 1:]), frame, reward, terminated)

    def _denoiser_loss(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        beside, done = self._condition(*self._remembered(batch))
        x = self.scaling(batch["next_observation"][:, -1])
        count = tf.shape(x)[0]
        noise = tf.random.stateless_normal(tf.shape(x), seed)
        spread = tf.range(count, dtype=tf.float32) + tf.random.stateless_uniform([count], fold(seed, 1))
        levels = tf.clip_by_value(spread / tf.cast(count, tf.float32), 1e-6, 1.0 - 1e-6)
        errors = self._edm.errors(
            lambda noisy, level: self.network([noisy, level, done, beside], training=True), x, levels, noise
        )
        return tf.reduce_mean(errors) / self._layout.size, {}

    def _outcome_loss(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        del seed
        beside, done = self._condition(*self._remembered(batch))
        following = self.scaling(batch["next_observation"][:, -1])
        said = self.judge([tf.concat([beside, following], axis=-1), done], training=True)
        truth = (batch[name][:, -1] for name in ("reward", "terminated"))
        reward, terminated = map(tf.reduce_mean, self.outcomes.errors(said, *truth))
        return reward + terminated, {"reward": reward, "terminated": terminated}

    def _remembered(self, segments: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns frames and actions ``[batch, history, ...]``, with nothing of an episode before the last step's."""
        same = same_episode(segments)
        first = tf.argmax(tf.cast(same, tf.int32), axis=1, output_type=tf.int32)
        rows = tf.maximum(tf.range(self._history)[None], first[:, None])
        frames = tf.gather(segments["observation"], rows, axis=1, batch_dims=1)
        actions = encode_action(self.spaces.action, segments["action"])
        return frames, actions * tf.cast(same, tf.float32)[..., None]

    def _condition(self, frames: tf.Tensor, actions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns scaled frames as channels ``[batch, height, width, history * channels]``, and actions in a row."""
        channels = [self.scaling(frame) for frame in tf.unstack(frames, axis=1)]
        return tf.concat(channels, axis=-1), tf.reshape(actions, [-1, self._history * self._actions])


def _image(env_spaces: Spaces) -> Layout:
    shape = env_spaces.observation.shape or ()
    if len(shape) != 3:
        raise UsageError(
            f"a diffusion model of frames needs images [height, width, channels], not {env_spaces.observation}",
            hint="--world-model sampler:diffusion learns vectors",
        )
    return Layout.of(env_spaces.observation, "diffusion")


def _judge(shape: tuple[int, ...], actions: int, width: int, units: int) -> keras.Model:
    """Two convolutions, of which one halves, and two layers: ``[frames, actions] -> [batch, 2]``."""
    inputs = [keras.Input(shape, name="frames"), keras.Input((actions,), name="actions")]
    x = keras.layers.Conv2D(width, 3, padding="same", activation="silu", name="conv_0")(inputs[0])
    x = keras.layers.Conv2D(width, 3, 2, padding="same", activation="silu", name="conv_1")(x)
    x = keras.layers.Concatenate(name="joined")([keras.layers.Flatten(name="flat")(x), inputs[1]])
    x = keras.layers.Dense(units, activation="silu", name="dense")(x)
    return keras.Model(inputs, keras.layers.Dense(outcomes.SIZE, name="said", dtype="float32")(x), name="judge")
