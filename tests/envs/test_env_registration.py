"""Registration with Gymnasium: in every import order, without TensorFlow until an env is made."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

KNOWN = 'assert "advdl/CartPole-v1" in gymnasium.registry'
LIGHT = 'import sys; assert "tensorflow" not in sys.modules'


def run(*lines: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    "lines",
    [
        ("import gymnasium", "import advdl_envs"),
        ("import advdl_envs", "import gymnasium"),
        ("import advdl_envs.plugin", "from gymnasium import spaces", "import gymnasium"),
        ("import gymnasium", "import advdl_envs", "advdl_envs.registration.register()"),
        ("import advdl_envs, importlib.util", "importlib.util.find_spec('gymnasium')", "import gymnasium"),
    ],
)
def test_importing_registers_in_any_order_and_stays_light(lines: tuple[str, ...]) -> None:
    run(*lines, KNOWN, LIGHT)


def test_importing_the_plugin_imports_no_gymnasium() -> None:
    run("import advdl_envs.plugin, sys", 'assert not {"gymnasium", "numpy", "tensorflow"} & set(sys.modules)')


def test_gymnasium_itself_is_left_as_it_was() -> None:
    run(
        "import sys; finders = list(sys.meta_path)",
        "import advdl_envs, gymnasium, importlib.resources",
        "assert sys.meta_path == finders",
        "assert gymnasium.__spec__.loader is gymnasium.__loader__",
        "assert type(gymnasium.__loader__).__name__ == 'SourceFileLoader'",
        "assert importlib.resources.files('gymnasium').joinpath('__init__.py').is_file()",
    )


def test_gymnasium_imports_the_package_for_an_id_that_names_it() -> None:
    run(
        "import gymnasium",
        "env = gymnasium.make('advdl_envs:advdl/CartPole-v1')",
        "assert env.reset(seed=0)[0].shape == (4,)",
    )


def test_the_entry_point_registers() -> None:
    (entry,) = entry_points(group="gymnasium.envs", name="advdl")
    assert entry.value == "advdl_envs.registration:register"
    run("import gymnasium", "from advdl_envs.registration import register", "register()", KNOWN, LIGHT)
