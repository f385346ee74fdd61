from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from advdl.experiment.config import Experiment, resolve_experiment
from advdl.plugin.host import PluginHost


@pytest.fixture(scope="session")
def toy_host() -> PluginHost:
    host = PluginHost([EntryPoint("toy", "toy_components", "advdl")])
    assert [plugin.status for plugin in host.plugins] == ["ok"]
    return host


@pytest.fixture
def resolve(toy_host: PluginHost, tmp_path: Path) -> Callable[..., Experiment]:
    """Resolves in a folder of its own; `project` and `config` are texts of TOML files."""

    def run(
        *sets: str,
        command_line: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
        project: str | None = None,
        config: str | None = None,
        **more: Any,
    ) -> Experiment:
        if project is not None:
            (tmp_path / "advdl.toml").write_text(project)
        if config is not None:
            (tmp_path / "fast.toml").write_text(config)
        return resolve_experiment(
            toy_host,
            command_line=command_line or {},
            sets=sets,
            config_file=None if config is None else tmp_path / "fast.toml",
            environ=environ or {},
            folder=tmp_path,
            **more,
        )

    return run
