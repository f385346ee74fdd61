"""Diffusion: a network that removes noise, and what makes samples of noise with it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import keras
import tensorflow as tf
from annotated_types import Ge, Gt, Interval

from advdl.errors import UsageError
from advdl.training import Aux, Batch, DataSpec, Objective, fold
from advdl_generative.ddpm import Ddpm, Network, Prediction
from advdl_generative.denoisers import dense_denoiser, unet
from advdl_generative.edm import DATA_DEVIATION, Edm
from advdl_generative.family import Family, check_image, track, twins
from advdl_generative.flow import Flow

Count = Annotated[int, Gt(0)]
Share = Annotated[float, Interval(ge=0, lt=1)]
Solver = Literal["auto", "heun", "euler", "trig-heun", "trig-euler", "ddim", "ddpm", "midpoint"]

_SOLVERS = {
    "edm": ("heun", "euler", "trig-heun", "trig-euler"),
    "ddpm": ("ddim", "ddpm"),
    "flow": ("midpoint", "euler"),
}
_JUDGED_LEVELS = 8


class Diffusion(Family):
    """Denoising diffusion, in three formulations.

    ``edm`` (Karras et al. 2022, arXiv:2206.00364) is the one for quality; ``flow`` (flow matching: Lipman et al. 2023,
    arXiv:2210.02747) goes from noise to data along straighter paths, for fewer steps; ``ddpm`` (Ho et al. 2020,
    arXiv:2006.11239) is the one for comparisons with the literature. Samples come from a moving average of the
    network's weights.

    Args:
        spec: Images, vectors, or zeros and ones; c is nothing, a class or a vector.
        formulation: Which.
        solver: Of ``edm``: ``heun`` and ``euler`` along the noise as in the paper, ``trig-heun`` and ``trig-euler``
            along a circle (Lu & Song 2024, arXiv:2410.11081). Of ``ddpm``: ``ddim``, ``ddpm`` (ancestral, all of its
            steps). Of ``flow``: ``midpoint``, ``euler``. ``auto`` takes the first.
        steps: Steps when sampling. The network runs once a step; with Heun's method twice but for the last, and with
            the midpoint's twice.
        sigma_min: Of ``edm``: smallest noise when sampling, where data have the standard deviation 0.5.
        sigma_max: Of ``edm``: greatest noise when sampling.
        log_mean: Of ``edm``: mean of the logarithm of the noise in training.
        log_deviation: Of ``edm``: its standard deviation.
        churn: Of ``edm``: noise added anew when sampling; 0 is deterministic.
        schedule: Of ``ddpm``: how noise grows.
        prediction: Of ``ddpm``: what the network says.
        noise_steps: Of ``ddpm``: steps from data to noise.
        eta: Of ``ddim``: noise added in each step; 0 is deterministic.
        network: ``unet`` is for images, ``dense`` for anything; ``auto`` takes the first where it can.
        width: Channels of the U-Net at full resolution, or units of a dense layer.
        depth: Residual blocks: at each resolution, or in all.
        levels: Resolutions of the U-Net, each half of the one before.
        condition_dropout: Share of training samples whose condition is hidden: what guidance needs.
        guidance: Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598): how far samples go beyond what they
            would be without the condition; 1 is plain conditioning. The network runs twice as often otherwise.
        average: Memory of the average weights, an update.
    """

    score = "denoising_error"
    better = "lower"

    def __init__(
        self,
        spec: DataSpec,
        *,
        formulation: Literal["edm", "ddpm", "flow"] = "edm",
        solver: Solver = "auto",
        steps: Count = 18,
        sigma_min: Annotated[float, Gt(0)] = 0.002,
        sigma_max: Annotated[float, Gt(0)] = 80.0,
        log_mean: float = -1.2,
        log_deviation: Annotated[float, Gt(0)] = 1.2,
        churn: Annotated[float, Ge(0)] = 0.0,
        schedule: Literal["linear", "cosine"] = "cosine",
        prediction: Prediction = "v",
        noise_steps: Count = 1000,
        eta: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        network: Literal["auto", "unet", "dense"] = "auto",
        width: Annotated[int, Ge(4)] = 64,
        depth: Count = 2,
        levels: Count = 2,
        condition_dropout: Share = 0.0,
        guidance: Annotated[float, Ge(0)] = 1.0,
        average: Share = 0.999,
    ) -> None:
        super().__init__(spec, "diffusion", "standard", spread=DATA_DEVIATION if formulation == "edm" else 1.0)
        self._solver = _resolve(formulation, solver, steps, noise_steps)
        self._edm = Edm(
            sigma_min=sigma_min, sigma_max=sigma_max, log_mean=log_mean, log_deviation=log_deviation, churn=churn
        )
        self._ddpm = Ddpm(schedule=schedule, prediction=prediction, noise_steps=noise_steps)
        self._flow = Flow()
        self._formulation = formulation
        self._steps, self._eta = steps, eta
        self._dropout, self._guidance, self._average = condition_dropout, guidance, average
        self._check_guidance()
        self.network, self.averaged = twins(
            lambda name: self._new_network(network, width, depth, levels, name), "denoiser"
        )

    @property
    def models(self) -> Mapping[str, keras.Model | keras.layers.Layer]:
        """The network, its average and the scales."""
        return {"network": self.network, "average": self.averaged, **self.fixed}

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """That of x."""
        return self.layout.shape

    def objectives(self) -> Sequence[Objective]:
        """One: the denoiser's error."""
        return [Objective("denoiser", self._loss, self.network.trainable_variables)]

    def after_update(self, update: tf.Tensor) -> None:
        """Moves the average."""
        track(self.network, self.averaged, update, self._average)

    def generate(self, noise: tf.Tensor, c: tf.Tensor | None, seed: tf.Tensor) -> tf.Tensor:
        """Removes noise, step by step."""
        condition = self.encode(c)

        def network(noisy: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
            return self._guided(noisy, level, condition)

        if self._formulation == "flow":
            straight: Literal[1, 2] = 1 if self._solver == "euler" else 2
            return self.scaling.undo(self._flow.sample(network, noise, steps=self._steps, order=straight))
        if self._formulation == "ddpm":
            ancestral = self._solver == "ddpm"
            return self.scaling.undo(
                self._ddpm.sample(
                    network,
                    noise,
                    seed,
                    steps=self._ddpm.noise_steps if ancestral else self._steps,
                    eta=1.0 if ancestral else self._eta,
                    limits=self.scaling.limits(),
                )
            )
        order: Literal[1, 2] = 2 if self._solver.endswith("heun") else 1
        if self._solver.startswith("trig"):
            return self.scaling.undo(self._edm.sample_by_angle(network, noise, steps=self._steps, order=order))
        x = self._edm.sample(
            lambda noisy, sigma: self._edm.denoise(network, noisy, sigma), noise, seed, steps=self._steps, order=order
        )
        return self.scaling.undo(x)

    def measure(self, batch: Batch, seed: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Returns the weighted error a component, averaged over noise levels that are the same in every call."""
        count = tf.shape(batch["x"])[0]
        x = tf.repeat(self.scaling(batch["x"]), _JUDGED_LEVELS, axis=0)
        condition = [tf.repeat(c, _JUDGED_LEVELS, axis=0) for c in self.condition_of(batch)]
        shares = (tf.range(_JUDGED_LEVELS, dtype=tf.float32) + 0.5) / _JUDGED_LEVELS
        noise = tf.random.stateless_normal(tf.shape(x), seed)
        errors = self._errors(
            lambda noisy, level: self._run(self.averaged, noisy, level, condition), x, tf.tile(shares, [count]), noise
        )
        each = tf.reduce_mean(tf.reshape(errors, [count, _JUDGED_LEVELS]), axis=1)
        return {"denoising_error": each / self.layout.size}

    def _loss(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, Aux]:
        x = self.scaling(batch["x"])
        count = tf.shape(x)[0]
        uniform = tf.random.stateless_uniform([2, count], fold(seed, 1), 1e-6, 1.0 - 1e-6)
        noise = tf.random.stateless_normal(tf.shape(x), seed)
        kept = tf.cast(uniform[1] >= self._dropout, tf.float32)[:, None]
        condition = self.condition_of(batch)

        def network(noisy: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
            return self._run(self.network, noisy, level, condition, kept, training=True)

        return tf.reduce_mean(self._errors(network, x, self._strata(uniform[0]), noise)) / self.layout.size, {}

    def _errors(self, network: Network, x: tf.Tensor, uniform: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        processes: Mapping[str, Edm | Ddpm | Flow] = {"edm": self._edm, "ddpm": self._ddpm, "flow": self._flow}
        return processes[self._formulation].errors(network, x, uniform, noise)

    @staticmethod
    def _strata(uniform: tf.Tensor) -> tf.Tensor:
        """Spreads the noise levels of a batch evenly, which takes variance off the gradient (Kingma et al. 2021)."""
        count = tf.shape(uniform)[0]
        spread = (tf.range(count, dtype=tf.float32) + uniform) / tf.cast(count, tf.float32)
        return tf.clip_by_value(spread, 1e-6, 1.0 - 1e-6)

    def _guided(self, noisy: tf.Tensor, level: tf.Tensor, condition: list[tf.Tensor]) -> tf.Tensor:
        """Runs the average network; with guidance, beside it without the condition."""
        if self._guidance == 1.0 or not condition:
            return self._run(self.averaged, noisy, level, condition)
        twice = [tf.concat([part, part], axis=0) for part in (noisy, level, condition[0])]
        kept = tf.concat([tf.ones_like(level), tf.zeros_like(level)], axis=0)[:, None]
        with_it, without = tf.split(self._run(self.averaged, twice[0], twice[1], twice[2:], kept), 2, axis=0)
        return without + self._guidance * (with_it - without)

    def _run(
        self,
        model: keras.Model,
        noisy: tf.Tensor,
        level: tf.Tensor,
        condition: list[tf.Tensor],
        kept: tf.Tensor | None = None,
        *,
        training: bool = False,
    ) -> tf.Tensor:
        """Runs a network; where conditions can be hidden, it also sees whether this one is."""
        if condition and self._dropout:
            mask = tf.ones_like(level)[:, None] if kept is None else kept
            condition = [tf.concat([condition[0] * mask, mask], axis=-1)]
        return model([noisy, level, *condition], training=training)

    def _check_guidance(self) -> None:
        if self._guidance == 1.0:
            return
        if not self.width:
            raise UsageError("guidance needs data with a condition c", hint="leave guidance at 1")
        if not self._dropout:
            raise UsageError("guidance needs a condition_dropout above 0", hint="0.1 is usual")

    def _new_network(self, network: str, width: int, depth: int, levels: int, name: str) -> keras.Model:
        shape, condition = self.layout.shape, self.width + (1 if self.width and self._dropout else 0)
        if network == "dense" or (network == "auto" and not self.layout.is_image):
            return dense_denoiser(shape, width, depth, condition, name)
        check_image(self.layout, 2 ** (levels - 1), "diffusion")
        return unet(shape, width, levels, depth, condition, name)


def _resolve(formulation: str, solver: Solver, steps: int, noise_steps: int) -> str:
    known = _SOLVERS[formulation]
    chosen = known[0] if solver == "auto" else solver
    if chosen not in known:
        raise UsageError(f"the formulation {formulation!r} has no solver {chosen!r}", hint=f"it has {', '.join(known)}")
    if chosen == "ddim" and steps > noise_steps:
        raise UsageError(f"{steps} steps of ddim are more than the {noise_steps} of noise", hint="take fewer steps")
    return chosen
