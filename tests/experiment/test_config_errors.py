"""Wrong settings: one sentence that says what, where it was written, and what is allowed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advdl.errors import CorruptError, PluginError, UsageError
from advdl.experiment.config import Experiment, read_experiment
from advdl.experiment.recipes import list_recipes, load_recipe
from advdl.plugin.component import Component
from advdl.plugin.host import PluginHost

Resolve = Callable[..., Experiment]

WRONG: list[tuple[dict[str, Any], str, str]] = [
    # written, what the sentence has, what the hint has
    ({"sets": ["agent.gama=0.9"]}, "agent has no option 'gama' (from --set agent.gama=0.9)", "'gamma'"),
    ({"sets": ["agent.gama.x=0.9"]}, "agent has no option 'gama' (from --set agent.gama.x=0.9)", "'gamma'"),
    ({"sets": ["agent.backbone.unit=[1]"]}, "agent.backbone has no option 'unit' (from --set", "'units'"),
    ({"sets": ["trainer.clip_nrom=1"]}, "trainer has no option 'clip_nrom' (from --set", "'clip_norm'"),
    ({"sets": ["trianer.clip_norm=1"]}, "there is no setting 'trianer' (from --set", "'trainer'"),
    ({"sets": ["sede=1"]}, "there is no setting 'sede' (from --set sede=1)", "'seed'"),
    (
        {"sets": ["agent.gamma=2"]},
        "agent.gamma cannot be 2: it must be a number >= 0 and <= 1 (from --set",
        "",
    ),
    ({"sets": ["agent.gamma=high"]}, "agent.gamma cannot be 'high': it must be a number", ""),
    ({"sets": ["agent.double=1"]}, "agent.double cannot be 1: it must be true or false", ""),
    ({"sets": ["agent.batch_size=0.5"]}, "agent.batch_size cannot be 0.5: it must be a whole number", ""),
    ({"sets": ["seed=-1"]}, "seed cannot be -1: it must be a whole number >= 0", ""),
    ({"command_line": {"seed": -1}}, "(from --seed -1)", ""),
    ({"sets": ["seed=true"]}, "seed cannot be True", ""),
    ({"sets": ["seed=99999999999"]}, "<= 2147483647", ""),
    ({"sets": ["seed.x=1"]}, "seed is one value, not a table (from --set seed.x=1)", ""),
    ({"sets": ["log.profile=20:10"]}, "log.profile cannot be '20:10'", ""),
    ({"sets": ["log.profile=ten"]}, "the first below the last, such as 10:20", ""),
    ({"sets": ["steps=ten"]}, "steps cannot be 'ten'", ""),
    (
        {"sets": ["trainer=5"]},
        "trainer cannot be 5: it must be a table of settings (from --set trainer=5)",
        "",
    ),
    ({"sets": ["trainer.clip_norm=nan"]}, "trainer.clip_norm cannot be nan", ""),
    ({"sets": ["engine=gpu"]}, "engine cannot be 'gpu': it must be one of 'auto', 'compiled', 'host'", ""),
    ({"sets": ["evaluation.stop_at=often"]}, "'solved', 'never' or a number", ""),
    ({"sets": ["env.id=5"]}, "env.id cannot be 5: it must be text", ""),
    ({"sets": ["agent=dqm"]}, "there is no agent 'dqm' (from --set agent=dqm)", "'dqn'"),
    ({"command_line": {"agent": "dqm"}}, "there is no agent 'dqm' (from --agent dqm)", "'dqn'"),
    ({"sets": ["agent.backbone=rasnet"]}, "there is no backbone 'rasnet' (from --set", "'resnet'"),
    ({"sets": ["optimizer.name=adem"]}, "there is no optimizer 'adem' (from --set", "'adam'"),
    ({"sets": ["optimizers.q.name=adem"]}, "there is no optimizer 'adem' (from --set", "'adam'"),
    ({"sets": ["optimizers.q.epsilom=1"]}, "optimizers.q has no option 'epsilom' (from --set", "'epsilon'"),
    ({"sets": ["optimizers=5"]}, "optimizers cannot be 5: it must be a table", ""),
    ({"sets": ["trackers.tensorbord=true"]}, "there is no tracker 'tensorbord'", "'tensorboard'"),
    ({"sets": ["trackers.diary=5"]}, "trackers.diary cannot be 5: it must be true, false or a table", ""),
    ({"sets": ["trackers.diary.pages=5"]}, "trackers.diary has no option 'pages' (from --set", ""),
    ({"sets": ["agent.gamma"]}, "--set agent.gamma has no value", "--set agent.gamma=VALUE"),
    ({"sets": ["=5"]}, "--set =5 does not begin with a setting's name", ""),
    ({"sets": ["agent..gamma=5"]}, "--set agent..gamma=5 does not begin with a setting's name", ""),
    ({"sets": ["a b=5"]}, "--set a b=5 does not begin with a setting's name", ""),
    (
        {"environ": {"ADVDL_AGENT__GAMA": "1"}},
        "agent has no option 'gama' (from ADVDL_AGENT__GAMA)",
        "'gamma'",
    ),
    ({"environ": {"ADVDL_AGENT__GAMMA": "x"}}, "agent.gamma cannot be 'x'", ""),
    ({"environ": {"ADVDL_AGNET__GAMMA": "1"}}, "ADVDL_AGNET__GAMMA sets nothing", "ADVDL_AGENT__GAMMA"),
    ({"environ": {"ADVDL_STEP": "1"}}, "ADVDL_STEP sets nothing", "ADVDL_STEPS"),
    ({"project": "agent.gama = 1"}, "agent has no option 'gama' (from advdl.toml)", "'gamma'"),
    ({"project": "[agent\n"}, "advdl.toml is not TOML", ""),
    ({"config": "seed = 1\nseed = 2"}, "fast.toml is not TOML", ""),
    ({"config": "\n\nseed == 2"}, "line 3", ""),
    ({"config": "log.every = 2020-01-01"}, "log.every cannot be", ""),
    ({"command_line": {"agent": "demanding"}}, "agent needs a value for 'goal'", ""),
]


@pytest.mark.parametrize(("written", "sentence", "hint"), WRONG, ids=[case[1][:50] for case in WRONG])
def test_wrong_settings(resolve: Resolve, written: dict[str, Any], sentence: str, hint: str) -> None:
    written = dict(written)
    with pytest.raises(UsageError) as caught:
        resolve(*written.pop("sets", []), **written)
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_the_config_file_is_named(resolve: Resolve, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="agent has no option 'gama'") as caught:
        resolve(config="[agent]\ngama = 0.9")
    assert caught.value.message.endswith(f"(from config file {tmp_path / 'fast.toml'})")


def test_other_variables_are_not_ours(resolve: Resolve) -> None:
    assert resolve(environ={"ADVDL_SQLITE_PATH": "x", "ADVDL_DEBUG": "1", "ADVDL_TRACE": "1"}).get("seed") == 0


def test_an_env_that_does_not_exist_names_its_origin(resolve: Resolve) -> None:
    def refuse(name: str) -> str:
        raise UsageError(f"there is no env {name!r}", hint="did you mean 'CartPole-v1'?")

    with pytest.raises(UsageError, match=r"there is no env 'CratPole' \(from advdl.toml\)") as caught:
        resolve(project="env.id = 'CratPole'", canonical_env=refuse)
    assert caught.value.hint == "did you mean 'CartPole-v1'?"


@pytest.mark.parametrize("kind", ["absent", "folder", "binary"])
def test_config_files_that_cannot_be_read(toy_host: PluginHost, tmp_path: Path, kind: str) -> None:
    from advdl.experiment.config import resolve_experiment

    path = tmp_path / "x.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(b"seed = 1\n\xff\xfe")
    sentence = {"absent": "does not exist", "folder": "cannot be read", "binary": "at line 2"}[kind]
    with pytest.raises(UsageError, match=sentence):
        resolve_experiment(toy_host, command_line={}, sets=[], config_file=path, environ={}, folder=tmp_path)


def test_what_is_wrong_without_components_is_said_before_they_are_imported(resolve: Resolve) -> None:
    called: list[str] = []
    for sets in (["seed"], ["sede=1"], ["agent=dqm"]):
        with pytest.raises(UsageError):
            resolve(*sets, before_import=called.append)
    assert called == []
    resolve(before_import=called.append)
    assert called == ["tensorflow"]


class TestRecipes:
    COMPONENT = Component("agent", "x", "a:B", recipes="toy_recipes")

    def test_absent_is_fine(self) -> None:
        assert load_recipe(self.COMPONENT, "Taxi-v3") == {}
        assert load_recipe(Component("agent", "x", "a:B"), "CartPole-v1") == {}
        assert load_recipe(Component("agent", "x", "a:B", recipes="nowhere_recipes"), "CartPole-v1") == {}
        assert load_recipe(self.COMPONENT, "../toy_recipes/CartPole-v1") == {}

    def test_listed(self) -> None:
        assert list_recipes(self.COMPONENT) == ["CartPole-v1"]

    def test_namespaces(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "namespaced").mkdir()
        (tmp_path / "namespaced" / "ALE_Pong-v5.toml").write_text("steps = 3")
        monkeypatch.syspath_prepend(tmp_path)
        recipe = load_recipe(Component("agent", "x", "a:B", recipes="namespaced"), "ALE/Pong-v5")
        assert recipe["steps"].value == 3

    def test_broken(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "broken_recipes").mkdir()
        (tmp_path / "broken_recipes" / "Taxi-v3.toml").write_text("steps = = 3")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(PluginError, match=r"recipe broken_recipes/Taxi-v3.toml cannot be read: .*line 1"):
            load_recipe(Component("agent", "x", "a:B", recipes="broken_recipes"), "Taxi-v3")


class TestExperiment:
    def test_toml_and_back(self, resolve: Resolve, toy_host: PluginHost, tmp_path: Path) -> None:
        experiment = resolve(
            "optimizers.q.epsilon=1e-3",
            'env.options."a.b"="x\\"y"',
            "trackers.tensorboard=false",
            "agent.gamma=0.1",
        )
        path = tmp_path / "experiment.toml"
        path.write_text(experiment.to_toml())
        again = read_experiment(toy_host, path)
        assert again.data == experiment.data
        assert again.diff(experiment) == []
        assert resolve(config=path.read_text()).data == experiment.data

    def test_sections_are_typed(self, resolve: Resolve) -> None:
        from advdl.experiment.schema import Evaluation, General

        experiment = resolve("evaluation.stop_at=470", "seed=4")
        assert experiment.section(Evaluation).stop_at == 470
        assert experiment.section(General).seed == 4

    def test_get(self, resolve: Resolve) -> None:
        experiment = resolve('env.options."a.b"=5')
        assert experiment.get('env.options."a.b"') == 5
        with pytest.raises(UsageError, match=r"there is no setting 'agent.gama'") as caught:
            experiment.get("agent.gama")
        assert "'agent.gamma'" in caught.value.hint
        with pytest.raises(UsageError):
            experiment.get("seed.x")

    def test_diff_and_steps(self, resolve: Resolve) -> None:
        experiment = resolve()
        longer = experiment.with_steps(99)
        assert longer.diff(experiment) == [("steps", 99, 7)]
        assert longer.origins["steps"] == "command line"
        assert experiment.get("steps") == 7
        with pytest.raises(UsageError, match="steps cannot be 0"):
            experiment.with_steps(0)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (lambda text: text.replace("gamma = 0.7", "gamma = 7.0"), "agent.gamma cannot be 7.0"),
            (lambda text: text.replace("gamma", "gama"), "agent has no option 'gama'"),
            (lambda text: text.replace("[log]", "[lug]"), "there is no setting 'lug'"),
            (lambda text: text[:-20] + "]", "cannot be read"),
            (lambda text: "\0" + text, "cannot be read"),
        ],
    )
    def test_a_tampered_file_is_refused(
        self,
        resolve: Resolve,
        toy_host: PluginHost,
        tmp_path: Path,
        change: Callable[[str], str],
        sentence: str,
    ) -> None:
        path = tmp_path / "experiment.toml"
        text = resolve().to_toml()
        assert change(text) != text
        path.write_text(change(text))
        with pytest.raises(CorruptError, match=r"experiment\.toml") as caught:
            read_experiment(toy_host, path)
        assert sentence in caught.value.message
        assert caught.value.exit_code == 3

    def test_a_missing_plugin_is_no_damage(self, resolve: Resolve, toy_host: PluginHost, tmp_path: Path) -> None:
        path = tmp_path / "experiment.toml"
        path.write_text(resolve().to_toml().replace('name = "dqn"', 'name = "gone"'))
        with pytest.raises(UsageError, match="there is no agent 'gone'"):
            read_experiment(toy_host, path)
