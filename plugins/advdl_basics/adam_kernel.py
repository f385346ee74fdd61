"""Adam's step in one pass over a variable, where TensorFlow has a kernel for it."""

from typing import Any

import keras


def in_one_pass(optimizer: keras.optimizers.Adam, gradient: Any, variable: Any, learning_rate: Any) -> bool:
    """Makes an optimizer's step on one variable with TensorFlow's kernel, if that is what the step asks for.

    Keras writes the step as a dozen operations. Where XLA does not compile them, each reads and writes every weight,
    its gradient or a moment: of ResNet-18's training step on a CPU they take a tenth. The kernel computes the same
    formula. Its 1 - beta_2 is rounded like the powers that correct for it, where Keras rounds one and not the other,
    which makes Keras' steps wrong by up to 6e-6 of their length at first.

    Args:
        optimizer: Adam, built; its moments of the variable are updated with it.
        gradient: The gradient, of the variable's shape.
        variable: The variable, Keras' or TensorFlow's own.
        learning_rate: Step size, a scalar.

    Returns:
        Whether the step is made. It is not on another backend, with AMSGrad and for a sparse gradient.
    """
    if keras.config.backend() != "tensorflow" or optimizer.amsgrad:
        return False
    import tensorflow as tf

    if isinstance(gradient, tf.IndexedSlices):
        return False
    index, dtype = optimizer._get_variable_index(variable), tf.as_dtype(variable.dtype)
    step = tf.cast(optimizer.iterations + 1, dtype)
    beta_1, beta_2 = tf.cast(optimizer.beta_1, dtype), tf.cast(optimizer.beta_2, dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=optimizer._momentums[index].handle,
        v=optimizer._velocities[index].handle,
        beta1_power=tf.pow(beta_1, step),
        beta2_power=tf.pow(beta_2, step),
        lr=tf.cast(learning_rate, dtype),
        beta1=beta_1,
        beta2=beta_2,
        epsilon=tf.cast(optimizer.epsilon, dtype),
        grad=tf.cast(gradient, dtype),
    )
    return True
