"""What this plugin offers."""

from collections.abc import Iterable

from advdl.plugin import Component, hookimpl

_BACKBONES = (Component("backbone", "mlp", "advdl_basics.mlp:MLP", "fully connected layers"),)

_OPTIMIZERS = (
    Component("optimizer", "adam", "advdl_basics.optimizers:Adam", "adaptive moments"),
    Component("optimizer", "adamw", "advdl_basics.optimizers:AdamW", "Adam with decoupled weight decay"),
    Component("optimizer", "sgd", "advdl_basics.optimizers:SGD", "gradient descent, with momentum on request"),
    Component("optimizer", "rmsprop", "advdl_basics.optimizers:RMSprop", "steps scaled by recent gradients' size"),
    Component("optimizer", "nadam", "advdl_basics.optimizers:Nadam", "Adam with Nesterov momentum"),
    Component("optimizer", "adamax", "advdl_basics.optimizers:Adamax", "Adam in the infinity norm"),
    Component("optimizer", "lion", "advdl_basics.optimizers:Lion", "the sign of momentum; wants small rates"),
    Component("optimizer", "muon", "advdl_basics.optimizers:Muon", "orthogonalised momentum for matrices"),
)

_SCHEDULES = (
    Component("schedule", "constant", "advdl.training.schedules:Constant", "the same value all along"),
    Component("schedule", "linear", "advdl.training.schedules:Linear", "a straight line, then flat"),
    Component("schedule", "cosine", "advdl.training.schedules:Cosine", "half a cosine; warm-up, floor, restarts"),
    Component("schedule", "exponential", "advdl.training.schedules:Exponential", "geometric decay to a floor"),
    Component("schedule", "piecewise", "advdl.training.schedules:Piecewise", "steps from value to value"),
)

_LOSSES = (
    Component("loss", "mse", "advdl_basics.losses:MeanSquaredError", "squared error"),
    Component("loss", "mae", "advdl_basics.losses:MeanAbsoluteError", "absolute error"),
    Component("loss", "huber", "advdl_basics.losses:Huber", "squared error, absolute beyond delta"),
    Component("loss", "log-cosh", "advdl_basics.losses:LogCosh", "a smooth Huber"),
    Component("loss", "binary-crossentropy", "advdl_basics.losses:BinaryCrossentropy", "yes or no"),
    Component("loss", "categorical-crossentropy", "advdl_basics.losses:CategoricalCrossentropy", "classes, one-hot"),
    Component(
        "loss",
        "sparse-categorical-crossentropy",
        "advdl_basics.losses:SparseCategoricalCrossentropy",
        "classes, by number",
    ),
)

_METRICS = (
    Component("metric", "quantile", "advdl_basics.metrics:Quantile", "a quantile of the samples; the median"),
    Component("metric", "share_above", "advdl_basics.metrics:ShareAbove", "how many samples reach a threshold"),
    Component("metric", "tail_mean", "advdl_basics.metrics:TailMean", "the mean of the worst samples (CVaR)"),
)


@hookimpl
def advdl_components() -> Iterable[Component]:
    """Offers the backbone, the optimizers, the schedules, the losses and the metrics that most runs need."""
    return (*_BACKBONES, *_OPTIMIZERS, *_SCHEDULES, *_LOSSES, *_METRICS)
