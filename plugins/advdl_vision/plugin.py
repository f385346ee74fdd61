"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl

_LAYERS = (
    Component("layer", "residual", "advdl_vision.residual:ResidualBlock", "two 3x3 convolutions and a shortcut"),
    Component("layer", "bottleneck", "advdl_vision.residual:BottleneckBlock", "1x1, 3x3, 1x1 and a shortcut"),
    Component(
        "layer",
        "preactivation_residual",
        "advdl_vision.residual:PreActivationBlock",
        "the residual block of IMPALA",
    ),
    Component(
        "layer",
        "inception_module",
        "advdl_vision.inception_module:InceptionModule",
        "1x1, 3x3, 5x5 and pooling side by side",
    ),
    Component(
        "layer",
        "local_response_norm",
        "advdl_vision.inception_module:LocalResponseNormalization",
        "divides by the activity of neighbouring channels",
    ),
    Component(
        "layer",
        "dense_block",
        "advdl_vision.dense_block:DenseBlock",
        "each layer sees the concatenation of all before it",
    ),
    Component("layer", "transition", "advdl_vision.dense_block:Transition", "halves the map between dense blocks"),
)

_CANONICAL = (
    Component("backbone", "resnet10", "advdl_vision.resnet:ResNet10", "7x7 stem, blocks of 64, 64, 128, 128"),
    Component("backbone", "resnet18", "advdl_vision.resnet:ResNet18", "ResNet-18, for photos"),
    Component("backbone", "resnet34", "advdl_vision.resnet:ResNet34", "ResNet-34, for photos"),
    Component("backbone", "resnet50", "advdl_vision.resnet:ResNet50", "ResNet-50, for photos"),
    Component("backbone", "inception_v1", "advdl_vision.inception:InceptionV1", "GoogLeNet, for photos"),
    Component("backbone", "inception_v3", "advdl_vision.inception_v3:InceptionV3", "Inception v3, for photos"),
    Component("backbone", "densenet121", "advdl_vision.densenet:DenseNet121", "DenseNet-121, for photos"),
    Component("backbone", "densenet169", "advdl_vision.densenet:DenseNet169", "DenseNet-169, for photos"),
    Component("backbone", "densenet201", "advdl_vision.densenet:DenseNet201", "DenseNet-201, for photos"),
)

_SMALL = (
    Component("backbone", "nature_cnn", "advdl_vision.nature_cnn:NatureCNN", "the network of the Nature DQN"),
    Component("backbone", "minatar_cnn", "advdl_vision.minatar_cnn:MinAtarCNN", "the network of MinAtar"),
    Component("backbone", "impala", "advdl_vision.impala:Impala", "IMPALA's residual network, pooled"),
    Component("backbone", "resnet", "advdl_vision.resnet:ResNet", "a residual network of any size"),
    Component("backbone", "inception", "advdl_vision.inception:Inception", "Inception modules, any size"),
    Component("backbone", "densenet", "advdl_vision.densenet:DenseNet", "dense blocks, any size"),
)


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers convolutional backbones and the blocks that they are made of."""
    return (*_LAYERS, *_CANONICAL, *_SMALL)
