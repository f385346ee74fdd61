import json
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest

from advdl.cli.app import main


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["env", *words])
    out, err = capsys.readouterr()
    return code, out, err


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code, out, _ = run(capsys, *words, "--json")
    assert code == 0
    return json.loads(out)


def test_list_shows_engine_and_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    listed = {env["id"]: env for env in run_json(capsys, "list")}
    assert listed["CartPole-v1"] == {
        "id": "CartPole-v1",
        "engine": "compiled",
        "observation": "Box(4)",
        "action": "Discrete(2)",
        "install": "",
    }
    assert listed["Taxi-v4"]["engine"] == "host"
    assert listed["Taxi-v4"]["observation"] is None


def test_list_can_be_narrowed(capsys: pytest.CaptureFixture[str]) -> None:
    compiled = [env["id"] for env in run_json(capsys, "list", "--compiled")]
    assert {"CartPole-v1", "advdl/CartPole-v1", "MountainCarContinuous-v0"} <= set(compiled)
    assert "Taxi-v4" not in compiled
    assert [env["id"] for env in run_json(capsys, "list", "--filter", "cartPOLE-v1", "--compiled")] == [
        "CartPole-v1",
        "advdl/CartPole-v1",
    ]
    code, out, _ = run(capsys, "list", "--filter", "no such env")
    assert (code, out) == (0, "no env fits; see them all: advdl env list\n")


def test_list_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "list")
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["env", "engine", "observation", "action"]
    row = next(line for line in lines if line.startswith("CartPole-v1"))
    assert row.split() == ["CartPole-v1", "compiled", "Box(4)", "Discrete(2)"]


def test_list_imports_no_tensorflow() -> None:
    code = "import sys, advdl.cli.app as a; a.main(['env', 'list']); assert 'tensorflow' not in sys.modules"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "CartPole-v1" in finished.stdout


def test_info_of_a_host_env(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_json(capsys, "info", "Taxi") == {
        "id": "Taxi-v4",
        "engine": "host",
        "observation": "Discrete(500)",
        "action": "Discrete(6)",
        "max_episode_steps": 200,
        "reward_threshold": 8,
        "compiled": None,
        "evaluated_on": "Taxi-v4",
    }


def test_info_of_a_compiled_env_tells_options_and_physics(capsys: pytest.CaptureFixture[str]) -> None:
    data = run_json(capsys, "info", "advdl/CartPole")
    assert data["evaluated_on"] == "CartPole-v1"
    assert data["options"] == {"sutton_barto_reward": False}
    assert data["params"]["gravity"] == 9.8
    _, out, _ = run(capsys, "info", "advdl/CartPole")
    assert "gravity = 9.8" in out


def test_check_of_a_host_env(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "Taxi")
    assert code == 0
    assert out.splitlines()[-1] == "Taxi-v4 passes"


def test_check_of_a_compiled_env_compares_it_with_its_twin(capsys: pytest.CaptureFixture[str]) -> None:
    data = run_json(capsys, "check", "CartPole")
    assert [check["status"] for check in data["checks"]] == ["kept"] * 3
    assert data["checks"][2]["check"] == "advdl/CartPole-v1 equals CartPole-v1"


class Outside(gymnasium.Env[Any, Any]):
    """Gives an observation that is not in its space, and prints where data belongs."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        print("chatter")
        return np.full(2, 5.0, np.float32), {}


def test_check_of_a_broken_env_names_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    gymnasium.register("AdvdlOutside-v0", entry_point=Outside)
    try:
        code, out, err = run(capsys, "check", "AdvdlOutside", "--json")
    finally:
        del gymnasium.registry["AdvdlOutside-v0"]
    assert code == 4
    (check,) = json.loads(out)["checks"]
    assert check["status"] == "broken"
    assert "observation" in check["reason"]
    assert "chatter" in err


@pytest.mark.parametrize("verb", ["info", "check"])
def test_an_unknown_env_is_a_usage_error(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, verb, "Cartpoel")
    assert (code, out) == (2, "")
    assert "there is no env 'Cartpoel'" in err
    assert "did you mean 'CartPole'?" in err
    assert "advdl env list" in err
