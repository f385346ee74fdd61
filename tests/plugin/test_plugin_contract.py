"""A plugin is written for a contract; one that does not fit is listed with the reason, and none of its code runs."""

import sys
from importlib.metadata import EntryPoint, PathDistribution

import pytest
from plugin_packages import Packages, advdl, listed

from advdl import __version__
from advdl.errors import PluginError
from advdl.plugin import hookspecs
from advdl.plugin.contract import CONTRACT, OLDEST_CONTRACT, declared, misfit
from advdl.plugin.host import PluginHost
from advdl.plugin.loading import Loader

NEVER = "raise SystemExit('its code must not run')"


def point(packages: Packages, name: str) -> EntryPoint:
    dist = PathDistribution(next(packages.folder.glob(f"{name}-*.dist-info")))
    (found,) = dist.entry_points.select(group="advdl")
    return found


def test_one_of_a_later_contract_is_listed_and_not_loaded(packages: Packages) -> None:
    packages.add("late", NEVER, contract=str(CONTRACT + 1))
    packages.add("fits", "", contract=str(CONTRACT))
    plugins = listed(packages.folder)
    assert plugins["fits"]["status"] == "ok"
    late = plugins["late"]
    assert (late["status"], late["contract"], late["components"]) == ("incompatible", str(CONTRACT + 1), [])
    assert late["error"] == (
        f"it is written for contract {CONTRACT + 1}, and advdl {__version__} keeps contract {CONTRACT}; "
        "look for a newer advdl: pip install --upgrade advdl"
    )
    table = advdl("plugins", "list", path=packages.folder).stdout
    assert "incompatible" in table
    used = advdl("plugins", "info", "loss:mse", path=packages.folder)
    assert used.returncode == 0
    assert used.stderr.startswith("warning: plugin 'late' is left out: it is written for contract")
    strict = advdl("plugins", "info", "loss:mse", path=packages.folder, ADVDL_STRICT_PLUGINS="1")
    assert (strict.returncode, strict.stderr.count("it is written for contract")) == (4, 1)
    checked = advdl("plugins", "check", "late", path=packages.folder)
    assert checked.returncode == 4
    assert "plugin 'late' is not loaded: it is written for contract" in checked.stderr


def test_one_of_an_earlier_contract_is_named_itself(packages: Packages) -> None:
    packages.add("early", NEVER, contract="2")
    (record,) = Loader(contracts=(3, 5)).load([point(packages, "early")])
    assert record.status == "incompatible"
    assert "keeps contracts 3 to 5; look for a newer plugin: pip install --upgrade early" in record.error
    assert "early" not in sys.modules


@pytest.mark.parametrize(("written", "fits"), [("1", False), ("3", True), ("4", True), ("5", True), ("6", False)])
def test_every_contract_from_the_oldest_to_the_newest_fits(packages: Packages, written: str, fits: bool) -> None:
    packages.add("some", "", contract=written)
    assert (misfit(point(packages, "some"), oldest=3, newest=5) == "") is fits


def test_what_declares_nothing_is_of_the_first_contract(packages: Packages) -> None:
    packages.add("silent", "")
    assert declared(point(packages, "silent")) == "1"
    assert misfit(point(packages, "silent"), oldest=2, newest=2).startswith("it is written for contract 1")


def test_a_declaration_that_is_no_number_is_named(packages: Packages) -> None:
    packages.add("odd", NEVER, contract="one")
    (record,) = PluginHost([point(packages, "odd")]).plugins
    assert (record.status, record.error) == (
        "incompatible",
        "it declares the contract 'one', which is no whole number",
    )
    with pytest.raises(PluginError, match="which is no whole number"):
        PluginHost([point(packages, "odd")], strict=True)


def test_this_advdl_keeps_its_own_contract() -> None:
    assert 1 <= OLDEST_CONTRACT <= CONTRACT
    own = [record for record in PluginHost().plugins if record.distribution == "advdl"]
    assert {record.status for record in own} == {"ok"}


def test_a_change_of_the_hooks_changes_the_contract() -> None:
    """A hook or an argument that is changed or taken away: deprecate it for a release, then raise ``CONTRACT``.

    What is only added is added here too.
    """
    arguments = {
        name: function.__code__.co_varnames[1 : function.__code__.co_argcount]
        for spec in (hookspecs.PluginHooks, hookspecs.RunHooks)
        for name, function in vars(spec).items()
        if name.startswith("advdl_")
    }
    assert (CONTRACT, arguments) == (
        1,
        {
            "advdl_components": (),
            "advdl_commands": ("app",),
            "advdl_checks": (),
            "advdl_run_started": ("run",),
            "advdl_metrics": ("run", "step", "metrics"),
            "advdl_evaluated": ("run", "step", "evaluation"),
            "advdl_histograms": ("run", "step", "arrays"),
            "advdl_images": ("run", "step", "images"),
            "advdl_checkpoint_saved": ("run", "step", "folder"),
            "advdl_run_finished": ("run", "status", "error"),
        },
    )
