"""What is said of a backbone beside which it is: whose options it takes, and whether it stays as it is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from advdl.errors import UsageError
from advdl.experiment.config import Experiment
from advdl.experiment.run_folder import RunFolder
from advdl.experiment.schema import FAMILIES

if TYPE_CHECKING:
    from advdl.training.learner import Learner


def freeze_backbones(learner: "Learner", name: str) -> None:
    """Keeps a learner's backbones as they are; to be called before its objectives are asked for.

    Args:
        learner: What sees through them.
        name: Its name, for the error.

    Raises:
        UsageError: It sees through none.
    """
    backbones = learner.backbones()
    if not backbones:
        raise UsageError(
            f"{name!r} sees through no backbone that could be frozen",
            hint="leave it out: --set backbone_freeze=false",
        )
    for backbone in backbones:
        backbone.trainable = False


def check_freezing(experiment: Experiment) -> None:
    """Refuses a frozen backbone where freezing is not known.

    Raises:
        UsageError: What is trained is no agent, or one with a learning loop of its own.
    """
    if experiment.data["backbone_freeze"] and experiment.family != "agent":
        name = experiment.data[FAMILIES[experiment.family].main]["name"]
        raise UsageError(
            f"{name!r} cannot keep a backbone frozen: only an agent that the trainer here trains can",
            hint="leave it out: --set backbone_freeze=false",
        )


def backbone_settings(folder: RunFolder) -> Mapping[str, Any]:
    """Returns a run's backbone, by name and options, as it stands in its configuration.

    Raises:
        UsageError: It has none.
    """
    main = folder.config()[FAMILIES[folder.record().family].main]
    settings = main.get("backbone")
    if not isinstance(settings, Mapping):
        raise UsageError(f"run {folder.id} has no backbone: it trained {main['name']!r}", hint="advdl runs list")
    return settings
