"""What a runner costs, and what 1,000 of them would do, by arithmetic from what was measured here.

Measured, with PPO on an env: the seconds of an env step and of the policy (for the copies of one runner and for 64
times as many rows), the bytes of a step on its way to the learner, of the weights and of a step's random draws on
their way to the runners, Ray's round trip and throughput, and the learner's seconds a step, in a real run with a
runner: taking a round in, and updating on it. Then the plan: for each number of runners the seconds of a round, part by
part, as docs/planning-runners.md writes them down. Nothing is compared, so there is no claim that could fail.
"""

import argparse
import json
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import Report, Row, advdl, arguments_parser, child, sets, workplace
from versus_sb3_host import QUIET

ENV = "LunarLander-v3"
COPIES, HORIZON, ROWS = 16, 128, 64
AGENT = {"agent.name": "ppo", "agent.horizon": HORIZON, "agent.batch_size": 256, "agent.epochs": 4}
PLAN = (1, 2, 10, 100, 1_000)
BLOCK = 32 * 2**20


def main() -> int:
    parser = arguments_parser(__doc__, seeds="0-2")
    parser.add_argument("--env", default=ENV)
    parser.add_argument("--copies", type=int, default=COPIES, help="copies of the env in each runner")
    parser.add_argument("--horizon", type=int, default=HORIZON, help="steps of a round")
    parser.add_argument("--steps", type=int, default=32_768, help="env steps of the run that shows the learner's cost")
    parser.add_argument("--part", choices=("runner", "ray"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(runner_part(given) if given.part == "runner" else ray_part()))
        return 0
    with workplace() as folder:
        rows = [measured(seed, folder, given) for seed in given.seeds]
    costs = {name: sorted(row[name] for row in rows)[len(rows) // 2] for name in rows[0] if name != "seed"}
    return Report(
        title=f"What runners cost, PPO on {given.env}",
        settings={"copies_a_runner": given.copies, "horizon": given.horizon, "steps": given.steps},
        load=given.load,
        rows=[{"figure": name, "median": value} for name, value in costs.items()],
        summary=[planned(runners, costs, given.copies, given.horizon) for runners in PLAN],
        notes=[
            "us: microseconds; the plan is seconds of a round, and env steps per second of all runners together",
            "busy_from: the env step's microseconds from which so many runners keep the learner waiting",
        ],
    ).emit(as_json=given.json)


def measured(seed: int, folder: Path, given: argparse.Namespace) -> Row:
    script, here = str(Path(__file__).resolve()), folder / str(seed)
    shape = ["--env", given.env, "--copies", str(given.copies), "--horizon", str(given.horizon)]
    runner = child([script, "--part", "runner", *shape], here, folder / "cache")
    ray = child([script, "--part", "ray"], here, folder / "cache")
    settings = {"env.id": given.env, "env.num": given.copies, **QUIET, **AGENT, "agent.horizon": given.horizon}
    command = ["agent", "train", "--steps", str(given.steps), "--seed", str(seed), "--quiet", *sets(settings)]
    done = advdl([*command, "--runners", "ray:1"], here / "run", folder / "cache")
    seconds = done.data["seconds"]
    intake = sum(seconds.get(part, 0.0) for part in ("act", "env", "stage"))
    return {
        "seed": seed,
        **runner,
        **ray,
        "intake_us_a_step": 1e6 * intake / given.steps,
        "update_us_a_step": 1e6 * seconds["update"] / given.steps,
    }


def planned(runners: int, costs: Row, copies: int, horizon: int) -> Row:
    """The arithmetic of docs/planning-runners.md: a round is played, brought in, learnt from, one after the other."""
    rows = runners * copies
    steps = rows * horizon
    policy = costs["policy_us"] + max(rows - copies, 0) * costs["policy_us_a_row"]
    play = horizon * (copies * costs["env_us_a_step"] + policy) / 1e6
    down = costs["weights_bytes"] + steps * costs["draw_bytes_a_step"]
    up = steps * costs["bytes_a_step"]
    move = (down + up) / costs["ray_bytes_per_second"] + runners * costs["ray_round_trip_us"] / 1e6
    learn = steps * (costs["intake_us_a_step"] + costs["update_us_a_step"]) / 1e6
    # The env step at which playing takes as long as everything else together.
    others = move + learn + horizon * policy / 1e6
    return {
        "runners": runners,
        "steps_a_round": steps,
        "play_s": play,
        "move_s": move,
        "learn_s": learn,
        "steps_per_second": steps / (play + move + learn),
        "down_MB": down / 1e6,
        "up_MB": up / 1e6,
        "busy_from_us": 1e6 * others / (horizon * copies),
    }


def runner_part(given: argparse.Namespace) -> Row:
    """One runner in this process, without Ray: what it spends, and what it would send."""
    import gymnasium

    from advdl.rl.env_copies import Care
    from advdl.rl.env_factory import EnvFactory
    from advdl.rl.runner import Runner, RunnerTask
    from advdl.rl.spaces import Spaces

    factory = EnvFactory.of(given.env)
    with gymnasium.make(given.env) as env:
        spaces = Spaces(env.observation_space, env.action_space)
    acting, acting_many = (acting_of(spaces, copies) for copies in (given.copies, ROWS * given.copies))
    runner = Runner(RunnerTask(factory, spaces, given.copies, 0, given.copies, 0, Care()))
    runner.open()
    runner.take_policy(acting.program.steps)
    runner.reset()
    draws = [acting.program.draws(row) for row in range(given.horizon)]
    columns = [stack(column) for column in zip(*draws, strict=True)]
    answer = runner.play(acting.weights, columns, 0, given.horizon)
    play = best(lambda: runner.play(acting.weights, columns, 0, given.horizon)) / given.horizon
    policy, many = (policy_seconds(which, spaces) for which in (acting, acting_many))
    steps = given.copies * given.horizon
    runner.close()
    return {
        "env_us_a_step": 1e6 * (play - policy) / given.copies,
        "policy_us": 1e6 * policy,
        "policy_us_a_row": 1e6 * (many - policy) / ((ROWS - 1) * given.copies),
        "bytes_a_step": len(pickle.dumps(answer, protocol=5)) / steps,
        "weights_bytes": len(pickle.dumps(acting.weights, protocol=5)),
        "draw_bytes_a_step": sum(column.nbytes for column in columns) / steps,
    }


def acting_of(spaces: Any, copies: int) -> Any:
    from advdl.plugin.host import PluginHost
    from advdl.rl.host_acting import HostActing
    from advdl.training.randomness import Stream

    agent = PluginHost.from_environment().build("agent", {"name": "ppo"}, spaces)
    acting = HostActing(agent, num_envs=copies, total=1e6, stream=Stream(0, "act"))
    acting.reread()
    return acting


def policy_seconds(acting: Any, spaces: Any) -> float:
    """Seconds of one decision for all rows, its random draws apart: they are the learner's."""
    import numpy as np

    from advdl.rl.spaces import leaves, stored_dtype

    program, rows = acting.program, len(acting.program.draws(0)[0])
    seen = [np.zeros((rows, *(leaf.shape or ())), stored_dtype(leaf)) for _, leaf in leaves(spaces.observation)]
    draws = program.draws(0)
    return best(lambda: [program.steps(seen, 0, draws) for _ in range(20)]) / 20


def ray_part() -> Row:
    """Ray's round trip, and its throughput from a runner's process to this one."""
    import numpy as np

    from advdl.training.ray_cluster import start_ray

    ray, _ = start_ray(1)

    def reply(size: int) -> Any:
        return np.ones(size, np.uint8)

    class Echo:
        def reply(self, size: int) -> Any:
            return reply(size)

    echo = ray.remote(num_cpus=1)(Echo).remote()
    ray.get(echo.reply.remote(1))
    trip = best(lambda: [ray.get(echo.reply.remote(1)) for _ in range(50)]) / 50
    # As the learner does: what came is copied once, out of the object store.
    moved = best(lambda: np.array(ray.get(echo.reply.remote(BLOCK)))) - trip
    ray.shutdown()
    return {"ray_round_trip_us": 1e6 * trip, "ray_bytes_per_second": BLOCK / moved}


def best(work: Callable[[], Any], times: int = 5) -> float:
    """Returns the least seconds of several tries."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def stack(column: Any) -> Any:
    import numpy as np

    return np.stack(column)


if __name__ == "__main__":
    sys.exit(main())
