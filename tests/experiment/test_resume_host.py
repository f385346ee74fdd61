"""Real processes, real kills in the host engine: the resumed run equals the one that never stopped, bit for bit.

``ADVDL_TEST_KILLS=20`` asks for more kills; ``benchmarks/resume_kills.py --engine host`` does so for several envs.
"""

import os
import signal
from pathlib import Path

import pytest
from kill_harness import SETTINGS, Harness, differences, newest_step

KILLS = int(os.environ.get("ADVDL_TEST_KILLS", "1"))
STEPS = 19_200
HOST = {
    **SETTINGS,
    "engine": "host",
    "trainer.jit": "off",
    "env.num": "4",
    "env.bounds": "ignore",
    "evaluation.every": "9600",
    "evaluation.episodes": "2",
    "agent.train_every": "32",
}


@pytest.mark.parametrize("env", ["LunarLander"])
def test_killed_at_random_moments_it_is_the_same_run(env: str, tmp_path: Path) -> None:
    harness = Harness(tmp_path, settings=HOST, steps=STEPS, env=env)
    whole = harness.undisturbed()
    assert newest_step(whole) == STEPS
    run = harness.stopped([signal.SIGKILL] * KILLS, seed=1)
    assert [stop.exit_code for stop in run.stops] == [-9] * KILLS, run.outputs
    assert "brought back" not in "".join(run.outputs)
    assert differences(whole, run.folder) == []
