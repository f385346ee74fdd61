"""Registers the envs with Gymnasium.

Gymnasium 1.x no longer reads its ``gymnasium.envs`` entry points: an env package registers its envs when it
is imported, and ``gymnasium.make("package:Env-v0")`` imports it. This package is also imported by the plugin
host, which must not import Gymnasium (and NumPy with it); so the registration waits until somebody imports
Gymnasium.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

_HOST = {
    "advdl/HalfCheetahDirection-v0": "half_cheetah:HalfCheetahDirection",
    "advdl/HalfCheetahVelocity-v0": "half_cheetah:HalfCheetahVelocity",
}
"""Envs that are not compiled; they are made by Gymnasium alone."""

_CHEETAH_STEPS = 1_000  # HalfCheetah-v5's


def register() -> None:
    """Registers every env that Gymnasium does not know yet; imports no TensorFlow."""
    import gymnasium

    from advdl.rl.env_names import register_component
    from advdl_envs.plugin import COMPONENTS

    for component in COMPONENTS:
        register_component(component)
    for env_id, target in _HOST.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(env_id, entry_point=f"advdl_envs.{target}", max_episode_steps=_CHEETAH_STEPS)


def register_when_imported() -> None:
    """Registers now if Gymnasium has been imported, or else as soon as it is."""
    if "gymnasium" in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _AfterGymnasium())


class _AfterGymnasium(importlib.abc.MetaPathFinder):
    """Finds nothing itself: has ``gymnasium`` found by the others and registers the envs once it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "gymnasium":
            return None
        others = (finder.find_spec(fullname, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in others if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenRegister(spec.loader, self)
        return spec


class _ThenRegister(importlib.abc.Loader):
    """Loads with another loader, then registers the envs and takes the finder away."""

    def __init__(self, loader: importlib.abc.Loader, finder: _AfterGymnasium) -> None:
        self._loader, self._finder = loader, finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:  # the module keeps its own loader: resources are read through it
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        sys.meta_path.remove(self._finder)
        register()
