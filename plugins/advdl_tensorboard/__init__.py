"""TensorBoard as a plugin: one tracker on the run's hooks."""
