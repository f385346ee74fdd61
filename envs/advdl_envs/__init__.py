"""Compiled envs. Importing the package also registers them with Gymnasium, as ``advdl/CartPole-v1`` and so on."""

from advdl_envs.registration import register_when_imported

register_when_imported()
