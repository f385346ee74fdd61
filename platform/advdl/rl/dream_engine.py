"""DreamEngine: real steps are few and feed a model; the agent learns in the model alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import tensorflow as tf

from advdl.errors import UsageError
from advdl.rl.compiled import CompiledEngine
from advdl.rl.engine import Engine, Meter
from advdl.rl.fitting import Fitting


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What follows on what, in real env steps.

    Attributes:
        warm_up: Steps before the first fit.
        refit_every: Steps from a fit to the next.
        round: Steps from a spell of dreaming to the next.
        imagined: Steps in the model for each real one.
        total: The run's length.

    Raises:
        UsageError: The run is over before the first fit.
    """

    warm_up: int
    refit_every: int
    round: int
    imagined: int
    total: int

    def __post_init__(self) -> None:
        if self.warm_up > self.total:
            raise UsageError(
                f"{self.warm_up} steps of warm-up are more than the {self.total} real steps of the run",
                hint="give more --steps, or fewer world_model.warm_up",
            )

    def stop(self, real: int) -> int:
        """Returns the end of the round that the ``real``-th step belongs to."""
        return self.next_stop(real - 1) if real else 0

    def next_stop(self, real: int) -> int:
        """Returns the end of the round that begins after, or goes on from, so many steps."""
        if real < self.warm_up:
            return self.warm_up
        return min((real // self.round + 1) * self.round, self.total)

    def fits(self, real: int) -> int:
        """Returns how many fits are to be made once there are so many real steps."""
        return 0 if real < self.warm_up else 1 + (real - self.warm_up) // self.refit_every

    def dreamt(self, real: int) -> int:
        """Returns how many steps are to be made in the model once there are so many real ones."""
        return 0 if real < self.warm_up else real * self.imagined


class Record(Protocol):
    """What remembers the real steps."""

    def transitions(self) -> Mapping[str, Any]:
        """Returns all of them."""


class World(Protocol):
    """A model as an env."""

    def refresh(self, transitions: Any, seed: int) -> None:
        """Takes new beginnings out of the real steps."""

    def state(self) -> dict[str, tf.Variable]:
        """Returns what it keeps of them."""


class DreamEngine:
    """Collects a round of real steps, refits the model if that is due, lets the agent learn in it; and again.

    A step of the run is a real one, once the dreams that follow it are dreamt. Each of the three parts is a compiled
    program of its own; real envs that are not compiled are stepped by the host engine.

    Args:
        real: Steps the real env with the agent's behaviour and stores in ``recording``.
        recording: Every real transition.
        fitting: Fits the world to them.
        world: The model as an env.
        dream: Steps it, and trains the agent.
        rhythm: What follows on what.
        seed: The run's seed.
    """

    def __init__(
        self,
        real: Engine,
        recording: Record,
        fitting: Fitting,
        world: World,
        dream: CompiledEngine,
        *,
        rhythm: Rhythm,
        seed: int,
    ) -> None:
        self._real, self._recording, self._fitting = real, recording, fitting
        self._world, self._dream, self._rhythm, self._seed = world, dream, rhythm, seed
        self._done = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.metrics: Meter = DreamMeter(real.metrics, dream.metrics, fitting.metrics, self._counts)

    @property
    def env_steps(self) -> int:
        """Real env steps whose dreams are dreamt."""
        return int(self._done)

    def build(self) -> None:
        """Traces the programs."""
        for part in (self._real, self._fitting, self._dream):
            part.build()

    def advance(self, until: int) -> None:
        """Goes on for about one chunk. Rounds do not depend on where a caller wants to stop, so that may be passed.

        Raises:
            DivergedError: A loss or a gradient was not finite.
            RunError: The real env failed.
        """
        del until
        real, rhythm = self._real.env_steps, self._rhythm
        if real < rhythm.stop(real):
            self._real.advance(rhythm.stop(real))
        elif self._fitting.fits < rhythm.fits(real):
            self._fit()
        elif self._dream.env_steps < rhythm.dreamt(real):
            self._dream.advance(rhythm.dreamt(real))
        elif self.env_steps < real:
            self._done.assign(real)
        else:
            self._real.weights_changed()
            self._real.advance(rhythm.next_stop(real))

    def state(self) -> dict[str, tf.Variable]:
        """Returns every variable of the run by a stable name; those of the dream have the names of an agent's run."""
        parts = {"real": self._real.state(), "model": self._fitting.state(), "world": self._world.state()}
        state = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        return {**self._dream.state(), **state, "done": self._done}

    def weights_changed(self) -> None:
        """Nothing is kept of the weights."""

    def _fit(self) -> None:
        first = self._fitting.fits == 0
        if not self._fitting.advance():
            return
        self._world.refresh(self._recording.transitions(), seed=self._seed + self._fitting.fits)
        if first:  # until now there was nothing to begin at
            self._dream.restart(self._seed)

    def _counts(self) -> dict[str, float]:
        return {
            "real/steps": float(self._real.env_steps),
            "dream/steps": float(self._dream.env_steps),
            "model/fits": float(self._fitting.fits),
            "model/updates": float(self._fitting.updates),
        }


class DreamMeter:
    """The three parts' means under one roof: ``rollout/`` is what the real env gave, ``dream/`` what the model did.

    Args:
        real: Of the real env.
        dream: Of the dream, and of learning in it.
        model: Of fitting.
        counts: Returns what is counted.
    """

    def __init__(self, real: Meter, dream: Meter, model: Meter, counts: Callable[[], dict[str, float]]) -> None:
        self._parts: Mapping[str, Meter] = {"real": real, "dream": dream, "model": model}
        self._counts = counts

    def read(self) -> dict[str, float]:
        """Returns the means of the interval, and the counts."""
        figures = {
            _NAMES[part](name): value for part, meter in self._parts.items() for name, value in meter.read().items()
        }
        return figures | self._counts()

    def reset(self) -> None:
        """Starts a new interval."""
        for meter in self._parts.values():
            meter.reset()

    def peek(self, name: str) -> float | None:
        """Returns one mean of the interval so far, or None: of the real env or of the agent's learning."""
        part = "dream" if name.startswith("learn/") else "real"
        return self._parts[part].peek(name)


def _of_dream(name: str) -> str:
    return name if name.startswith("learn/") else f"dream/{name.partition('/')[2]}"


def _of_model(name: str) -> str:
    return name.replace("learn/", "model/", 1)


_NAMES: Mapping[str, Callable[[str], str]] = {"real": str, "dream": _of_dream, "model": _of_model}
