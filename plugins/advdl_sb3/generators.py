"""The random numbers of one run: stable-baselines3 draws from the process' global generators."""

import contextlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from advdl.training.tensors import Array

_KEYS = ("python", "numpy", "torch")


class Generators:
    """Keeps the state that Python's, NumPy's and torch's global generators have within a run.

    Outside of ``running()`` the process' own states are back, so nothing that happens between two stretches of
    learning, such as an evaluation, changes what the run draws.
    """

    def __init__(self) -> None:
        self._states = _read()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Puts the run's generators in place within the block."""
        outside = _read()
        _write(self._states)
        try:
            yield
        finally:
            self._states = _read()
            _write(outside)

    def state(self) -> dict[str, Array]:
        """Returns the states as arrays."""
        python, numpy, torch_state = (self._states[key] for key in _KEYS)
        arrays = {
            "python": np.array(python[1], np.uint64),
            "numpy": np.asarray(numpy["state"]["key"], np.uint32),
            "torch": torch_state.numpy(),
        }
        devices = self._states["cuda"]
        return arrays | {f"cuda/{index}": device.numpy() for index, device in enumerate(devices)}

    def facts(self) -> dict[str, Any]:
        """Returns what of the states is no array."""
        python, numpy = self._states["python"], self._states["numpy"]
        rest = {"pos": int(numpy["state"]["pos"]), "has_gauss": int(numpy["has_gauss"]), "gauss": float(numpy["gauss"])}
        return {"python": [python[0], python[2]], "numpy": rest}

    def restore(self, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
        """Takes states back."""
        version, gauss = facts["python"]
        rest = facts["numpy"]
        devices = sorted(name for name in arrays if name.startswith("cuda/"))
        self._states = {
            "python": (version, tuple(int(word) for word in arrays["python"]), gauss),
            "numpy": {
                "bit_generator": "MT19937",
                "state": {"key": arrays["numpy"], "pos": rest["pos"]},
                "has_gauss": rest["has_gauss"],
                "gauss": rest["gauss"],
            },
            "torch": torch.from_numpy(np.array(arrays["torch"])),
            "cuda": [torch.from_numpy(np.array(arrays[name])) for name in devices],
        }


def _read() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    numpy: Any = np.random.get_state(legacy=False)
    return {"python": random.getstate(), "numpy": numpy, "torch": torch.get_rng_state(), "cuda": cuda}


def _write(states: Mapping[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
