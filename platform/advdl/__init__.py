"""advdl: train reinforcement-learning and meta-learning agents in Keras 3; every part is a plugin."""

__version__ = "0.1.0"
