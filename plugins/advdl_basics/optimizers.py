"""Keras' optimizers with typed options. The numbers are Keras' own, but Adam's steps are made by one kernel.

``learning_rate`` is a number or a schedule; ``advdl.training.optimizers`` turns either into a plain variable
and a schedule. Weight decay is decoupled (Loshchilov & Hutter 2019, arXiv:1711.05101):
``w -= learning_rate * weight_decay * w`` before the step, biases and normalisations left out.
"""

from typing import Annotated, Any

import keras
from annotated_types import Ge, Gt, Interval

from advdl.plugin.options import Factory, Part
from advdl_basics.adam_kernel import in_one_pass

Rate = Annotated[Factory, Part("schedule")] | Annotated[float, Gt(0)]
Memory = Annotated[float, Interval(ge=0, lt=1)]
Small = Annotated[float, Gt(0)]
Decay = Annotated[float, Ge(0)]


class Adam(keras.optimizers.Adam):
    """Steps scaled by running first and second moments of the gradient.

    Paper: Kingma & Ba 2015, arXiv:1412.6980; AMSGrad: Reddi et al. 2018, arXiv:1904.09237.

    Args:
        learning_rate: Step size: a number or a schedule.
        beta_1: Memory of the first moment.
        beta_2: Memory of the second moment.
        epsilon: Added to the root of the second moment.
        amsgrad: Whether the second moment never falls.
        weight_decay: Decoupled weight decay; 0 for none.
    """

    def __init__(
        self,
        *,
        learning_rate: Rate = 1e-3,
        beta_1: Memory = 0.9,
        beta_2: Memory = 0.999,
        epsilon: Small = 1e-7,
        amsgrad: bool = False,
        weight_decay: Decay = 0.0,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay or None)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable and its moments, with one kernel where there is one."""
        if not in_one_pass(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate)


class AdamW(keras.optimizers.AdamW):
    """Adam with decoupled weight decay.

    Paper: Loshchilov & Hutter 2019, arXiv:1711.05101.

    Args:
        learning_rate: Step size: a number or a schedule.
        beta_1: Memory of the first moment.
        beta_2: Memory of the second moment.
        epsilon: Added to the root of the second moment.
        amsgrad: Whether the second moment never falls.
        weight_decay: Decoupled weight decay.
    """

    def __init__(
        self,
        *,
        learning_rate: Rate = 1e-3,
        beta_1: Memory = 0.9,
        beta_2: Memory = 0.999,
        epsilon: Small = 1e-7,
        amsgrad: bool = False,
        weight_decay: Decay = 0.004,
    ) -> None:
        super().__init__(learning_rate, weight_decay, beta_1, beta_2, epsilon, amsgrad)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable and its moments, with one kernel where there is one."""
        if not in_one_pass(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate)


class SGD(keras.optimizers.SGD):
    """Gradient descent.

    Paper: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".

    Args:
        learning_rate: Step size: a number or a schedule.
        momentum: Share of the last step that is repeated.
        nesterov: Whether the gradient is taken as if after the momentum's step.
        weight_decay: Decoupled weight decay; 0 for none.
    """

    def __init__(
        self,
        *,
        learning_rate: Rate = 0.01,
        momentum: Memory = 0.0,
        nesterov: bool = False,
        weight_decay: Decay = 0.0,
    ) -> None:
        super().__init__(learning_rate, momentum, nesterov, weight_decay=weight_decay or None)


class RMSprop(keras.optimizers.RMSprop):
    """Steps scaled by a running second moment of the gradient.

    Paper: Hinton 2012, lecture 6e of "Neural Networks for Machine Learning".

    Args:
        learning_rate: Step size: a number or a schedule.
        rho: Memory of the second moment.
        momentum: Share of the last step that is repeated.
        epsilon: Added to the second moment.
        centered: Whether the gradient's mean is taken off its second moment.
        weight_decay: Decoupled weight decay; 0 for none.
    """

    def __init__(
        self,
        *,
        learning_rate: Rate = 1e-3,
        rho: Memory = 0.9,
        momentum: Memory = 0.0,
        epsilon: Small = 1e-7,
        centered: bool = False,
        weight_decay: Decay = 0.0,
    ) -> None:
        super().__init__(learning_rate, rho, momentum, epsilon, centered, weight_decay=weight_decay or None)


class Nadam(keras.optimizers.Nadam):
    """Adam with Nesterov momentum.

    Paper: Dozat 2016, "Incorporating Nesterov Momentum into Adam".

    Args:
        learning_rate: Step size: a number or a schedule.
        beta_1: Memory of the first moment.
        beta_2: Memory of the second moment.
        epsilon: Added to the root of the second moment.
        weight_decay: Decoupled weight decay; 0 for none.
    """

    def __init__(
        self,
        *,
        learning_rate: Rate = 1e-3,
        beta_1: Memory = 0.9,
        beta_2: Memory = 0.999,
        epsilon: Small = 1e-7,
        weight_decay: Decay = 0.0,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay=weight_decay or None)


class Adamax(keras.optimizers.Adamax):
    """Adam with the largest recent gradient in place of the second moment.

    Paper: Kingma & Ba 2015, section 7.1, arXiv:1412.6980.

    Args:
        learning_rate: Step size: a number or a schedule.
        beta_1: Memory of the first moment.
        beta_2: Memory of the infinity norm.
        epsilon: Added to the infinity norm.
        weight_decay: Decoupled weight decay; 0 for none.
    """

    def __init__(
        self,
        *,
        learning_rate: Rate = 1e-3,
        beta_1: Memory = 0.9,
        beta_2: Memory = 0.999,
        epsilon: Small = 1e-7,
        weight_decay: Decay = 0.0,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay=weight_decay or None)


class Lion(keras.optimizers.Lion):
    """Steps of one size, along the sign of the momentum; wants a rate 3 to 10 times smaller than Adam's.

    Paper: Chen et al. 2023, arXiv:2302.06675.

    Args:
        learning_rate: Step size: a number or a schedule.
        beta_1: Share of the momentum in the step's direction.
        beta_2: Memory of the momentum.
        weight_decay: Decoupled weight decay; 0 for none.
    """

    def __init__(
        self,
        *,
        learning_rate: Rate = 1e-4,
        beta_1: Annotated[float, Interval(gt=0, le=1)] = 0.9,
        beta_2: Memory = 0.99,
        weight_decay: Decay = 0.0,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, weight_decay=weight_decay or None)


class Muon(keras.optimizers.Muon):
    """Orthogonalised momentum for matrices; Adam for biases, normalisations, convolutions and embeddings.

    Paper: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; Liu et al. 2025,
    arXiv:2502.16982.

    Args:
        learning_rate: Step size: a number or a schedule.
        momentum: Memory of a matrix's momentum.
        nesterov: Whether the momentum is Nesterov's.
        ns_steps: Newton-Schulz iterations that orthogonalise.
        adam_beta_1: Memory of Adam's first moment.
        adam_beta_2: Memory of Adam's second moment.
        epsilon: Added to the root of Adam's second moment.
        weight_decay: Decoupled weight decay of every matrix; 0 for none.
    """

    def __init__(
        self,
        *,
        learning_rate: Rate = 1e-3,
        momentum: Memory = 0.95,
        nesterov: bool = True,
        ns_steps: Annotated[int, Interval(ge=1, le=100)] = 5,
        adam_beta_1: Memory = 0.9,
        adam_beta_2: Memory = 0.999,
        epsilon: Small = 1e-7,
        weight_decay: Decay = 0.004,
    ) -> None:
        super().__init__(
            learning_rate,
            adam_beta_1,
            adam_beta_2,
            adam_weight_decay=weight_decay or None,
            epsilon=epsilon,
            weight_decay=weight_decay or None,
            momentum=momentum,
            nesterov=nesterov,
            ns_steps=ns_steps,
        )
