"""What the package ``minatar`` and ours know of a game, in the same words; and its random numbers, from ours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from advdl_envs.minatar.asterix import Asterix
from advdl_envs.minatar.breakout import Breakout
from advdl_envs.minatar.freeway import Freeway
from advdl_envs.minatar.game import Game
from advdl_envs.minatar.seaquest import Seaquest
from advdl_envs.minatar.space_invaders import SpaceInvaders

Facts = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """One game in both forms.

    ``draws`` gives the package's random numbers of a step in the order in which it asks for them, as pairs of what must
    be used and what may be left over. ``skill`` plays well enough to see more of a game than random actions do.
    ``immortal`` says that both can go on after the end, which random actions reach too soon. ``disturb`` gives values
    by which both are changed now and then: our field, the package's attribute, the value.
    """

    game: type[Game]
    package: str
    draws: Callable[[Any, np.ndarray], tuple[list[Any], int]]
    theirs: Callable[[Any], Facts]
    ours: Callable[[Any], Facts]
    begin: Callable[[Any, Any], list[Any]] = lambda env, row: []
    skill: Callable[[Any, np.random.Generator], int] | None = None
    immortal: bool = False
    disturb: Callable[[np.random.Generator], list[tuple[str, str, Any]]] | None = None


def same(**names: str) -> tuple[Callable[[Any], Facts], Callable[[Any], Facts]]:
    """Reads plain values under our names (keys) and theirs (values)."""
    return (
        lambda env: {ours: getattr(env, theirs) for ours, theirs in names.items()},
        lambda row: {ours: getattr(row, ours) for ours in names},
    )


def breakout() -> Rules:
    theirs, ours = same(
        ball_x="ball_x", ball_y="ball_y", last_x="last_x", last_y="last_y", paddle="pos", strike="strike"
    )
    directions = {(-1, -1): 0, (1, -1): 1, (1, 1): 2, (-1, 1): 3}
    return Rules(
        Breakout,
        "breakout",
        draws=lambda env, chance: ([], 0),
        theirs=lambda env: {**theirs(env), "direction": env.ball_dir, "bricks": env.brick_map[1:4] == 1},
        ours=lambda row: {**ours(row), "direction": directions[row.step_x, row.step_y], "bricks": row.bricks},
        begin=lambda env, row: [0 if row.ball_x == 0 else 1],
        skill=_follow_the_ball,
    )


def _follow_the_ball(env: Any, rng: np.random.Generator) -> int:
    step = 1 if env.ball_dir in (1, 2) else -1
    lands = env.ball_x + step * (8 - env.ball_y if env.ball_dir in (2, 3) else 1)
    lands = min(max(-lands if lands < 0 else 18 - lands if lands > 9 else lands, 0), 9)
    return 0 if env.pos == lands else 3 if env.pos < lands else 1


def freeway() -> Rules:
    theirs, ours = same(chicken="pos", rest="move_timer", time="terminate_timer")

    def drawn(env: Any, chance: np.ndarray) -> tuple[list[Any], int]:
        pace, side = 1 + (chance[:8] * np.float32(5)).astype(int), np.where(chance[8:] < 0.5, 0.25, 0.75)
        return [pace, side], 2

    def first(env: Any, row: Any) -> list[Any]:
        return [np.abs(row.speed), np.where(row.speed < 0, 0.25, 0.75)]

    return Rules(
        Freeway,
        "freeway",
        draws=drawn,
        theirs=lambda env: {**theirs(env), "cars": [[car[0], car[2], car[3]] for car in env.cars]},
        ours=lambda row: {**ours(row), "cars": np.stack([row.car, row.wait, row.speed], axis=-1)},
        begin=first,
        skill=lambda env, rng: 2,
        disturb=lambda rng: [("time", "terminate_timer", int(rng.integers(3)))],
    )


def asterix() -> Rules:
    theirs, ours = same(
        x="player_x",
        y="player_y",
        spawn_speed="spawn_speed",
        spawn_timer="spawn_timer",
        move_speed="move_speed",
        move_timer="move_timer",
        ramp_timer="ramp_timer",
        ramp="ramp_index",
    )

    def drawn(env: Any, chance: np.ndarray) -> tuple[list[Any], int]:
        if env.spawn_timer:
            return [], 0
        full = None not in env.entities
        return [*chance[:2], *([] if full else [chance[2]])], 0

    return Rules(
        Asterix,
        "asterix",
        draws=drawn,
        theirs=lambda env: {**theirs(env), "things": [list(map(int, x)) if x else None for x in env.entities]},
        ours=lambda row: {
            **ours(row),
            "things": [
                None if x == -9 else [x, slot + 1, int(row.right[slot]), int(row.gold[slot])]
                for slot, x in enumerate(row.thing)
            ],
        },
        immortal=True,
    )


def space_invaders() -> Rules:
    theirs, ours = same(
        cannon="pos",
        move_interval="enemy_move_interval",
        move_timer="alien_move_timer",
        bomb_timer="alien_shot_timer",
        shot_timer="shot_timer",
        ramp="ramp_index",
        aliens="alien_map",
        bullets="f_bullet_map",
        bombs="e_bullet_map",
    )
    return Rules(
        SpaceInvaders,
        "space_invaders",
        draws=lambda env, chance: ([], 0),
        theirs=lambda env: {**theirs(env), "right": env.alien_dir > 0},
        ours=lambda row: {**ours(row), "right": row.right},
        skill=lambda env, rng: int(rng.choice([1, 3, 5, 5])),
        immortal=True,
    )


def seaquest() -> Rules:
    theirs, ours = same(
        x="sub_x",
        y="sub_y",
        right="sub_or",
        oxygen="oxygen",
        divers="diver_count",
        surfaced="surface",
        spawn_speed="e_spawn_speed",
        spawn_timer="e_spawn_timer",
        diver_timer="d_spawn_timer",
        move_speed="move_speed",
        shot_timer="shot_timer",
        ramp="ramp_index",
    )

    def drawn(env: Any, chance: np.ndarray) -> tuple[list[Any], int]:
        enemy = [*chance[:2], chance[2]] if env.e_spawn_timer == 0 else []
        return enemy + ([*chance[3:]] if env.d_spawn_timer == 0 else []), 0

    return Rules(
        Seaquest,
        "seaquest",
        draws=drawn,
        theirs=lambda env: {**theirs(env), **_their_swimmers(env)},
        ours=lambda row: {**ours(row), **_our_swimmers(row)},
        immortal=True,
        disturb=lambda rng: [("divers", "diver_count", int(rng.integers(7))), ("y", "sub_y", int(rng.integers(1, 3)))],
    )


def _their_swimmers(env: Any) -> Facts:
    return {
        "fish": [list(map(int, fish)) for fish in env.e_fish],
        "subs": [list(map(int, sub)) for sub in env.e_subs],
        "swimmers": [list(map(int, diver)) for diver in env.divers],
        "bullets": [list(map(int, bullet)) for bullet in env.f_bullets],
        "torpedoes": sorted({tuple(map(int, bullet)) for bullet in env.e_bullets}),
    }


def _our_swimmers(row: Any) -> Facts:
    def listed(swimmers: Any, which: np.ndarray, *further: np.ndarray) -> list[list[int]]:
        columns = (swimmers.x, swimmers.y, swimmers.right, *further)
        return [[int(c[i]) for c in columns] for i in np.flatnonzero((swimmers.x != -9) & which)[::-1]]

    every, torpedoes = row.is_sub | ~row.is_sub, np.argwhere(row.torpedoes)
    return {
        "fish": listed(row.enemies, ~row.is_sub, row.enemies.wait),
        "subs": listed(row.enemies, row.is_sub, row.enemies.wait, row.reload),
        "swimmers": listed(row.swimmers, every[:2], row.swimmers.wait),
        "bullets": listed(row.bullets, every[:2]),
        "torpedoes": sorted((int(x), int(y) + 1, int(side)) for side, y, x in torpedoes),
    }


RULES: Mapping[str, Rules] = {
    rules.package: rules for rules in (breakout(), freeway(), asterix(), space_invaders(), seaquest())
}
