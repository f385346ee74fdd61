"""What can be done with a run: commands that work when pasted."""

import shlex

from advdl.experiment.run_folder import RunFolder
from advdl.experiment.schema import FAMILIES


def next_commands(folder: RunFolder, *, done: bool) -> dict[str, str]:
    """Returns commands by their purpose.

    Args:
        folder: The run's folder.
        done: Whether it made its steps; then it goes on to twice as many.
    """
    path, record = shlex.quote(str(folder.path)), folder.record()
    own = {purpose: command.format(path) for purpose, command in FAMILIES[record.family].commands.items()}
    longer = f" --steps {2 * record.steps}" if done else ""
    return {**own, "resume": f"advdl runs resume {path}{longer}", "curves": f"advdl tensorboard {path}"}
