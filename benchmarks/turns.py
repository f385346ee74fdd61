"""The side of a contestant in a benchmark of turns: it makes as many steps as each line of its input says."""

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping

Turn = Callable[[int], None]
"""Makes so many steps."""

Contestant = Callable[[str], tuple[Turn, int, str]]
"""From what is trained to its turn, its number of parameters, and what there is to say about it."""


def serve(contestants: Mapping[str, Contestant]) -> None:
    """Says by a line of JSON that it is ready, and with each further one the seconds of a turn."""
    logging.basicConfig(level=logging.ERROR)
    contestant, trained = sys.argv[1:]
    turn, parameters, said = contestants[contestant](trained)
    turn(3)  # compiles, and warms up
    print(json.dumps({"parameters": parameters, "said": said}), flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        turn(int(line))
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)
