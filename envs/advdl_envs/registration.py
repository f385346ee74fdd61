"""Registers the envs with Gymnasium."""


def register() -> None:
    """Called by Gymnasium through its entry point."""
