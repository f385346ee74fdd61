"""What this plugin offers. Light: no TensorFlow, Keras or NumPy here."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers a backbone, the layer that it is made of, and a loss."""
    return [
        Component("backbone", "gated_mlp", "advdl_gated.backbone:GatedMLP", "fully connected layers with gates"),
        Component("layer", "gate", "advdl_gated.layer:Gate", "lets a learned share of its input through"),
        Component("loss", "huber_tail", "advdl_gated.loss:HuberTail", "Huber's loss with a logarithmic tail"),
    ]
