"""One contestant of `generative_speed.py`: trains a generative model for as many steps as each line of its input says.

    python benchmarks/peer_generative_speed.py ours|keras|torch vae|gan|diffusion

A line of JSON says that it is ready; each further one, the seconds of a turn. Adam, images of 28 x 28 bytes that are
in memory. The networks of `keras` are those that Keras' and TensorFlow's own pages train: the VAE's layer for layer,
DCGAN's with batch normalisation, and for diffusion our U-Net, with the train_step of the page and its moving average.
"""

from typing import Any

import numpy as np
from turns import Contestant, Turn, serve

SHAPE = (28, 28, 1)
BATCHES = {"vae": 128, "gan": 64, "diffusion": 32}
OPTIONS: dict[str, dict[str, Any]] = {
    "vae": {"latent": 2, "filters": [32, 64], "units": [16]},
    "gan": {"noise": 100, "filters": 256, "dropout": 0.3, "penalty": 0.0},
    "diffusion": {"network": "unet", "width": 32, "levels": 2, "depth": 1},
}
RATE, TURNS = 1e-4, 10


def data(family: str) -> Any:
    return np.random.default_rng(0).integers(0, 256, (TURNS * BATCHES[family], *SHAPE), dtype=np.uint8)


def sampler(family: str) -> Any:
    """Returns our sampler of the images."""
    from advdl.plugin.host import PluginHost
    from advdl.training import DataSpec
    from advdl.training.dataset import image_space

    images = data(family)
    return PluginHost.from_environment().build(
        "sampler", {"name": family, **OPTIONS[family]}, DataSpec(image_space(images), None)
    )


def tunings(learner: Any) -> Any:
    import keras

    from advdl.training import Tuning
    from advdl.training.schedules import Constant

    found = {}
    for objective in learner.objectives():
        optimizer = keras.optimizers.Adam(RATE)
        optimizer.build(list(objective.variables))
        found[objective.name] = Tuning(optimizer, Constant(value=RATE))
    return found


def ours(family: str) -> tuple[Turn, int, str]:
    """Trains as `advdl model train` does: the same sampler, batches, trainer and engine."""
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    from advdl.training import Dataset, Trainer
    from advdl.training.batches import DataBatches
    from advdl.training.compilation import Compilation, measure_updates
    from advdl.training.update_engine import UpdateEngine

    learner, images, said = sampler(family), data(family), list[str]()
    learner.adapt({"x": tf.constant(images)})
    trainer = Trainer(learner, tunings(learner), total_updates=10**6)
    batches = DataBatches(Dataset(images, None, learner.spec), batch_size=BATCHES[family], seed=0)
    first = batches(tf.constant(0, tf.int64))
    compilation = Compilation(None, (), said.append, apart=True, probe=lambda: measure_updates(learner, first))
    engine = UpdateEngine(batches, trainer, seed=0, jit=compilation)
    engine.build()

    def turn(steps: int) -> None:
        until = engine.updates + steps
        while engine.updates < until:
            engine.advance(until)

    turn(1)
    trained = sum(int(np.prod(v.shape)) for each in learner.objectives() for v in each.variables)
    return turn, trained, " ".join(said) or f"XLA: {compilation.decide()}"


def plain_keras(family: str) -> tuple[Turn, int, str]:
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    from peer_generative_keras import MODELS

    model, trained = MODELS[family](RATE)
    images, batch = data(family).astype("float32"), BATCHES[family]
    images = images / 255.0 if family == "vae" else images / 127.5 - 1.0

    def turn(steps: int) -> None:
        model.fit(images[np.arange(steps * batch) % len(images)], batch_size=batch, verbose=0)

    return turn, trained, f"jit_compile={model.jit_compile}"


def plain_torch(family: str) -> tuple[Turn, int, str]:
    import torch
    from peer_generative_torch import STEPS

    torch.manual_seed(0)
    step, trained = STEPS[family](RATE)
    images, batch = torch.from_numpy(data(family)).permute(0, 3, 1, 2).contiguous(), BATCHES[family]

    def turn(steps: int) -> None:
        for _ in range(steps):
            step(images[torch.randperm(len(images))[:batch]].float())

    return turn, trained, f"{torch.get_num_threads()} threads"


CONTESTANTS: dict[str, Contestant] = {"ours": ours, "keras": plain_keras, "torch": plain_torch}


if __name__ == "__main__":
    serve(CONTESTANTS)
