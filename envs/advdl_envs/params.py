"""Params: the physics of an env as a value. Overriding a name that does not exist is an error."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from advdl.errors import unknown_name

P = TypeVar("P", bound=NamedTuple)


def with_overrides(defaults: P, overrides: Mapping[str, Any], env_id: str) -> P:
    """Returns the params with some of them replaced.

    Args:
        defaults: The env's default params.
        overrides: New values by name; each a number, a scalar tensor or a tensor of shape [batch].
        env_id: The env's id, for the error.

    Raises:
        UsageError: There is no param of that name.
    """
    for name in overrides:
        if name not in defaults._fields:
            raise unknown_name(f"param of {env_id}", name, defaults._fields, command=f"advdl env info {env_id}")
    return defaults._replace(**overrides)
