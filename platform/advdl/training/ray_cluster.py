"""Ray: the cluster that ``RAY_ADDRESS`` names, or one of this process' own. Needs no TensorFlow."""

import os
from typing import Any

from advdl.errors import RunError, UsageError

INSTALL = "pip install 'advdl[ray]'"
_START = "a machine that is short of memory or busy starts it too slowly: try again, or with fewer processes beside it"
_JOIN = "is it what ray start --head printed, and is RAY_AUTH_TOKEN or ~/.ray/auth_token the cluster's?"


def start_ray(count: int, what: str = "runners") -> tuple[Any, bool]:
    """Joins the cluster of ``RAY_ADDRESS``, or starts Ray on this machine's loopback address.

    Args:
        count: CPUs that are needed.
        what: What each of them is for.

    Returns:
        The module, and whether this process has joined or started it, and so has to leave it.

    Raises:
        UsageError: It is not installed, the cluster cannot be reached or has no room.
        RunError: It does not start on this machine.
    """
    try:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray
    except ImportError:
        raise UsageError(f"{what} need ray, which is not installed", hint=INSTALL) from None
    address = os.environ.get("RAY_ADDRESS")
    mine = not ray.is_initialized()
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if mine and address:
        try:
            ray.init(address=address, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError(f"RAY_ADDRESS {address} cannot be joined: {error}", hint=_JOIN) from error
    elif mine:  # without the word "local" Ray would join whatever cluster runs on this machine
        here = {"num_cpus": count, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        try:
            ray.init(address="local", **here, **options)
        except Exception as error:  # it raises the bare class where its processes take too long
            raise RunError(f"Ray did not start on this machine: {error}", hint=_START) from error
    room = int(ray.cluster_resources().get("CPU", 0))
    if room < count:
        if mine:
            ray.shutdown()
        raise UsageError(f"{count} {what} need as many CPUs; Ray has {room}", hint=f"ask for {room}")
    return ray, mine
