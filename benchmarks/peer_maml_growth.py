"""advdl's MAML on sinusoids of the size ``TASKSxSTEPS``, served in turns: ``python peer_maml_growth.py advdl 25x1``."""

from peer_maml import UNITS, advdl
from turns import Turn, serve


def contestant(size: str) -> tuple[Turn, int, str]:
    tasks, steps = map(int, size.split("x"))
    weights = 2 * UNITS + UNITS * (UNITS + 1) + UNITS + 1
    return advdl(tasks, steps), weights, f"{tasks} tasks, {steps} inner steps"


if __name__ == "__main__":
    serve({"advdl": contestant})
