"""One contestant of `step_time.py`: trains a network for as many steps as each line of its input says.

    python benchmarks/peer_step_time.py ours|keras|torch|torch_channels_last resnet18|impala

A line of JSON says that it is ready; each further one, the seconds of a turn. Adam, cross-entropy of 10 classes,
batches of 32 images of 84 x 84 x 4 bytes that are in memory.
"""

from typing import Any

import numpy as np
from turns import Contestant, Turn, serve

BATCH, CLASSES, SHAPE = 32, 10, (84, 84, 4)
IMAGES = 10 * BATCH
RATE = 1e-3


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, *SHAPE), dtype=np.uint8)
    return images, rng.integers(0, CLASSES, IMAGES)


def backbone(network: str, space: Any) -> Any:
    from advdl_vision.impala import Impala
    from advdl_vision.resnet import ResNet18

    return ResNet18(space) if network == "resnet18" else Impala(space, pooling="flatten")


def ours(network: str) -> tuple[Turn, int, str]:
    """Trains as `advdl model train classifier` does: the same learner, batches, trainer and engine."""
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    from gymnasium.spaces import Discrete

    from advdl.training import Dataset, DataSpec, Trainer, Tuning
    from advdl.training.batches import DataBatches
    from advdl.training.compilation import Compilation, convolves
    from advdl.training.dataset import image_space
    from advdl.training.schedules import Constant
    from advdl.training.update_engine import UpdateEngine
    from advdl_basics.optimizers import Adam
    from advdl_supervised.classifier import Classifier

    images, classes = data()
    spec = DataSpec(image_space(images), Discrete(CLASSES))
    learner = Classifier(spec, backbone=lambda space: backbone(network, space))
    tuning = Tuning(Adam(learning_rate=RATE), Constant(value=RATE))
    trainer = Trainer(learner, {"classify": tuning}, total_updates=10**6)
    said: list[str] = []
    compilation = Compilation(None, learner.backbones(), said.append, apart=convolves(learner))
    batches = DataBatches(Dataset(images, classes, spec), batch_size=BATCH, seed=0)
    engine = UpdateEngine(batches, trainer, seed=0, jit=compilation)
    engine.build()

    def turn(steps: int) -> None:
        until = engine.updates + steps
        while engine.updates < until:
            engine.advance(until)

    turn(1)
    return turn, learner.network.count_params(), " ".join(said)


def plain_keras(network: str) -> tuple[Turn, int, str]:
    from advdl.training.backend import start_tensorflow

    start_tensorflow()
    import keras

    from advdl.training.dataset import image_space

    images, classes = data()
    seen = backbone(network, image_space(images))
    model = keras.Model(seen.input, keras.layers.Dense(CLASSES, name="logits")(seen.output))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss)

    def turn(steps: int) -> None:
        rows = np.arange(steps * BATCH) % IMAGES
        model.fit(images[rows], classes[rows], batch_size=BATCH, verbose=0)

    return turn, model.count_params(), f"jit_compile={model.jit_compile}"


def torch_network(network: str) -> Any:
    from torch import nn
    from torch.nn import functional

    class Basic(nn.Module):
        def __init__(self, before: int, width: int, stride: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])
            projects = stride != 1 or before != width
            projection = [nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)]
            self.shortcut = nn.Sequential(*projection) if projects else nn.Identity()

        def forward(self, x: Any) -> Any:
            y = functional.relu(self.norms[0](self.first(x)))
            return functional.relu(self.norms[1](self.second(y)) + self.shortcut(x))

    class PreActivation(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.first, self.second = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))

        def forward(self, x: Any) -> Any:
            return x + self.second(functional.relu(self.first(functional.relu(x))))

    if network == "impala":
        layers, before = [], SHAPE[-1]
        for width in (16, 32, 32):
            layers += [nn.Conv2d(before, width, 3, 1, 1), nn.MaxPool2d(3, 2, 1), *(PreActivation(width) for _ in "12")]
            before = width
        tail = [nn.ReLU(), nn.Flatten(), nn.Linear(11 * 11 * 32, 256), nn.ReLU(), nn.Linear(256, CLASSES)]
        return nn.Sequential(*layers, *tail)
    stem = [nn.Conv2d(SHAPE[-1], 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    widths = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
    blocks = [block for a, b, step in widths for block in (Basic(a, b, step), Basic(b, b, 1))]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES))


def plain_torch(network: str, *, channels_last: bool = False) -> tuple[Turn, int, str]:
    import torch

    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = torch_network(network).to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    images, classes = data()
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    y = torch.from_numpy(classes)

    def turn(steps: int) -> None:
        for _ in range(steps):
            rows = torch.randperm(IMAGES)[:BATCH]
            optimizer.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(model(x[rows].to(memory_format=layout) / 255), y[rows])
            loss.backward()
            optimizer.step()

    parameters = sum(parameter.numel() for parameter in model.parameters())
    averages = sum(buffer.numel() for name, buffer in model.named_buffers() if "running" in name)
    return turn, parameters + averages, f"{torch.get_num_threads()} threads"


CONTESTANTS: dict[str, Contestant] = {
    "ours": ours,
    "keras": plain_keras,
    "torch": plain_torch,
    "torch_channels_last": lambda network: plain_torch(network, channels_last=True),
}


if __name__ == "__main__":
    serve(CONTESTANTS)
