"""An env that fails in a real run: what is said and written, that the run stops at its last checkpoint and goes on."""

import re
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest
from kill_harness import differences
from small_run import SmallRun, When

from advdl.experiment.error_log import NAME
from advdl.rl.env_faults import EnvFaultError

ENV, STEPS = "advdl-tests/Fails-v0", 640

WHAT = {
    "raises": "raised ValueError: the floor gave way",
    "hangs": r"did not come back within 2 s",
    "exits": r"called sys\.exit\(7\)",
    "leaves": "ended its process with exit code 7",
    "killed": "was killed by SIGKILL",
    "shape": r"gave an observation of shape \[3\] instead of \[2\]",
    "dtype": "gave an observation of dtype <U1 instead of float32",
    "nan": r"gave an observation that is not finite \(nan at \[0\]\)",
    "infinite": "gave the reward inf",
    "outside": r"gave an observation that is out of bounds \(21 at \[0\]\)",
}
THEIR_OWN = {"raises": "_raises", "hangs": "_hangs", "exits": "_exits"}
"""Where there is a traceback of the env's own, the function of the env that is in it."""

CASES = [(1, fault) for fault in WHAT] + [(0, "raises"), (0, "hangs")]


@pytest.fixture(autouse=True, scope="module")
def _registered() -> Iterator[None]:
    gymnasium.register(ENV, entry_point="host_envs:Walk", max_episode_steps=6)
    yield
    del gymnasium.registry[ENV]


def run_of(root: Path, fault: str, flag: Path, *sets: str, workers: int) -> SmallRun:
    options = f'env.options={{fault="{fault}", at=3, copies="{flag}"}}'
    small = ("env.num=2", "agent.train_every=32", "evaluation.every=0", "log.every=40", "env.bounds=stop")
    patience = f"env.timeout={2 if fault == 'hangs' else 60}"
    sets = (*small, f"env.workers={workers}", options, patience, *sets)
    return SmallRun(root, *sets, env=ENV, steps=STEPS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """A run whose env never fails."""
    root = tmp_path_factory.mktemp("whole")
    run = run_of(root, "raises", root / "flag", workers=0)
    run.begin()
    return run


@pytest.mark.parametrize(("workers", "fault"), CASES)
def test_it_is_named_and_logged_and_the_run_goes_on_as_if_it_had_not_been(
    workers: int, fault: str, whole: SmallRun, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"  # once it is there, the env does wrong, once
    run = run_of(tmp_path, fault, flag, workers=workers)
    with pytest.raises(EnvFaultError) as caught:
        run.begin(When(STEPS // 2, flag.touch))
    sentence = rf"env '{ENV}', copy [01], {WHAT[fault]} in step 3 of the episode with seed \d+ on action [01]"
    assert re.fullmatch(sentence, caught.value.message)
    record = run.folder.record()
    assert (record.status, record.error) == ("failed", caught.value.message)
    log = (run.folder.path / NAME).read_text()
    assert log.startswith(caught.value.message)
    if fault in THEIR_OWN:
        assert re.search(rf"own process:\n\n.*host_envs\.py.* in {THEIR_OWN[fault]}\b", log, re.DOTALL)
    assert run.checkpoints()[-1] in range(1, STEPS)
    if fault in ("raises", "killed"):
        run.resume()
        assert differences(whole.folder.path, run.folder.path) == []


def test_the_copy_begins_anew_where_that_is_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    flag = tmp_path / "flag"
    run = run_of(tmp_path, "killed", flag, "env.on_fault=restart", workers=1)
    run.begin(When(STEPS // 2, flag.touch))
    assert not flag.exists()
    assert run.folder.record().status == "done"
    assert not (run.folder.path / NAME).exists()
    (said,) = [text for text in caplog.messages if "killed" in text]
    assert re.fullmatch(rf"env '{ENV}', copy [01], was killed by SIGKILL in step 3 .*; a new episode begins", said)
