"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers attention: layers, and backbones made of them."""
    return (
        Component(
            "layer",
            "self_attention",
            "advdl_attention.attention:SelfAttention",
            "scaled dot-product attention of one head",
        ),
        Component(
            "layer",
            "multi_head_attention",
            "advdl_attention.attention:MultiHeadAttention",
            "attention of several heads; masks, causal, scores",
        ),
        Component(
            "layer",
            "transformer",
            "advdl_attention.transformer:TransformerBlock",
            "attention and a feed-forward network",
        ),
        Component(
            "layer",
            "sinusoidal_positions",
            "advdl_attention.positions:SinusoidalPositions",
            "adds sines of the position",
        ),
        Component(
            "layer",
            "learned_positions",
            "advdl_attention.positions:LearnedPositions",
            "adds a learned vector a position",
        ),
        Component("backbone", "vit", "advdl_attention.vit:ViT", "vision transformer, tiny by default"),
        Component(
            "backbone",
            "attention",
            "advdl_attention.attention_net:Attention",
            "self-attention over an image's patches, a history's steps or a Dict's parts",
        ),
    )
