"""Recipes: tuned settings for an env, shipped beside the component that they are for."""

import importlib.util
from importlib import resources
from importlib.resources.abc import Traversable

from advdl.errors import PluginError
from advdl.experiment.layers import Source, Tree, tree_of
from advdl.experiment.toml import parse_toml
from advdl.plugin.component import Component


def load_recipe(component: Component, env_id: str) -> Tree:
    """Reads a component's recipe for an env; the component itself is not imported.

    Args:
        component: Its ``recipes`` names the package of the recipes.
        env_id: The env. A ``/`` in it is a ``_`` in the file's name.

    Returns:
        The recipe as a layer; empty where there is none.

    Raises:
        PluginError: The recipe cannot be read or is not TOML.
    """
    file_name = f"{env_id.replace('/', '_')}.toml"
    file = _find(component, file_name)
    if file is None:
        return {}
    origin = f"recipe {component.recipes.replace('.', '/')}/{file_name}"
    try:
        return tree_of(parse_toml(file.read_bytes()), Source(origin))
    except (OSError, ValueError) as error:
        raise PluginError(f"{origin} cannot be read: {error}", hint=f"advdl plugins info {component.name}") from error


def list_recipes(component: Component) -> list[str]:
    """Returns the names of the envs that a component has recipes for, as the files have them."""
    folder = _folder(component)
    names = [] if folder is None else [entry.name for entry in folder.iterdir()]
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _find(component: Component, file_name: str) -> Traversable | None:
    """Finds the file by listing: an env id that is a path, such as ``..``, finds nothing."""
    folder = _folder(component)
    entries = [] if folder is None else folder.iterdir()
    return next((entry for entry in entries if entry.name == file_name), None)


def _folder(component: Component) -> Traversable | None:
    if not component.recipes:
        return None
    try:
        found = importlib.util.find_spec(component.recipes)
    except ImportError as error:
        raise PluginError(
            f"the recipes of {component.kind} {component.name!r} are not where it says: {error}",
            hint=f"advdl plugins info {component.name}",
        ) from error
    # A folder without __init__.py is a package too, so recipes need no Python file.
    return resources.files(component.recipes) if found else None
