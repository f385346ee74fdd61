"""Compiled envs. Importing the package also registers them with Gymnasium: ``advdl/CartPole-v1``, ..."""

from advdl_envs.registration import register_when_imported

register_when_imported()
