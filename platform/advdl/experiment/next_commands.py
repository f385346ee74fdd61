"""What can be done with a run: commands that work when pasted."""

import shlex
from pathlib import Path


def next_commands(folder: Path, *, steps: int, done: bool) -> dict[str, str]:
    """Returns commands by their purpose.

    Args:
        folder: The run's folder.
        steps: The steps that the run was to make.
        done: Whether it made them; then it goes on to twice as many.
    """
    path = shlex.quote(str(folder))
    return {
        "evaluate": f"advdl agent eval {path}",
        "watch": f"advdl agent watch {path}",
        "resume": f"advdl runs resume {path}{f' --steps {2 * steps}' if done else ''}",
        "curves": f"advdl tensorboard {path}",
    }
