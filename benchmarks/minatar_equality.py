"""Are the compiled games equal to the package `minatar`, state by state, reward by reward, end by end?

Both play the same actions and get the same random numbers: sticky actions, spawns, speeds. After every step the whole
state is compared, the board, the reward and whether the game is over; the first difference ends a game's comparison.
First with random actions alone, so many steps a game; then as many again in which some play well, some cannot die and
some are disturbed, which leads to states that random actions do not reach.

Needs the extra: pip install 'advdl[minatar]'
"""

import sys
import time

from measure import ROOT, Report, Row, arguments_parser, say

sys.path.insert(0, str(ROOT / "tests" / "envs"))

COPIES = 20


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0")
    parser.add_argument("--steps", type=int, default=100_000, help="random steps a game (100000)")
    parser.add_argument("--games", nargs="+", help="such as breakout seaquest; all when left out")
    arguments = parser.parse_args()
    from minatar_rules import RULES

    rows = [
        one(game, mixed, seed, arguments.steps)
        for seed in arguments.seeds
        for game in arguments.games or RULES
        for mixed in (False, True)
    ]
    return Report(
        title="MinAtar: compiled games beside the package",
        settings={"steps": arguments.steps, "copies": COPIES, "sticky_actions": 0.1, "difficulty": "ramping"},
        load=arguments.load,
        rows=rows,
        verdicts=[("no state, reward or end differs", not any(row["difference"] for row in rows))],
        notes=["random: random actions alone; mixed: some copies play well, cannot die, or are disturbed"],
        peers=("minatar",),
    ).emit(as_json=arguments.json)


def one(game: str, mixed: bool, seed: int, steps: int) -> Row:
    from minatar_pair import DifferenceError, Pair
    from minatar_rules import RULES

    pair, began, difference = Pair(RULES[game], COPIES, seed, mixed=mixed), time.perf_counter(), ""
    try:
        pair.play(-(-steps // COPIES))
    except DifferenceError as error:
        difference = str(error)
    row = {
        "game": game,
        "actions": "mixed" if mixed else "random",
        "seed": seed,
        "steps": pair.seen["steps"],
        "points": pair.seen["rewards"],
        "ends": pair.seen["ends"],
        "difference": difference,
        "seconds": time.perf_counter() - began,
    }
    say(f"{game}, {row['actions']}: {row['steps']} steps, {difference or 'no difference'}")
    return row


if __name__ == "__main__":
    sys.exit(main())
