"""From `advdl plugins new` to a trained agent: `python benchmarks/new_plugin.py [--kinds backbone,agent] [--json]`.

Does what a new user does, in an environment of its own: writes a plugin, then pastes the commands that were printed,
one after the other: install, check, test, train. No file of the plugin or of advdl is touched. Each command is timed
from its start to its end. Reading is counted at 200 words a minute: the chapter's first part and the package's README.

The environment sees the packages of this one, so that pip downloads nothing; the time of a download is not in it.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fresh_environment import FreshEnvironment  # noqa: E402

WORDS_A_MINUTE = 200
LIMIT = 600.0
SOLVED = 475.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default="backbone,agent", help="kinds whose usage trains an agent")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    if load > 0.3:
        print(f"load average {load:.1f}: others are at work on this machine, times will be too long", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="advdl-benchmark-") as folder:
        environment = FreshEnvironment(Path(folder) / "venv")
        results = [follow(kind, environment, Path(folder) / kind) for kind in arguments.kinds.split(",")]
    print(json.dumps({"load": load, "results": results}, indent=2) if arguments.json else report(results))
    return 0 if all(result["kept"] for result in results) else 1


def follow(kind: str, environment: FreshEnvironment, folder: Path) -> dict[str, Any]:
    """Writes a plugin of a kind and pastes the commands that come with it."""
    folder.mkdir()
    first = f"advdl plugins new tiny-{kind} --kind {kind}"
    steps = [run(first, environment, folder)]
    pasted = [line.strip() for line in steps[0]["output"].partition("\nnext\n")[2].splitlines()]
    for command in [pasted[0], "advdl plugins list", *pasted[1:]]:
        steps.append(run(command, environment, folder))
        if steps[-1]["code"]:
            break
    found = re.findall(r"return (-?[\d.]+) \(std", steps[-1]["output"])
    machine = sum(step["seconds"] for step in steps)
    reading = 60.0 * words_to_read(folder / f"tiny-{kind}") / WORDS_A_MINUTE
    trained = float(found[-1]) if found else None
    kept = not steps[-1]["code"] and trained is not None and trained >= SOLVED and machine + reading < LIMIT
    return {
        "kind": kind,
        "steps": steps,
        "machine_seconds": machine,
        "reading_seconds": reading,
        "return": trained,
        "kept": kept,
    }


def run(command: str, environment: FreshEnvironment, folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    done = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=environment.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    return {"command": command, "code": done.returncode, "seconds": seconds, "output": done.stdout}


def words_to_read(package: Path) -> int:
    chapter = (ROOT / "docs/plugins.md").read_text(encoding="utf-8").partition("\n## By hand")[0]
    return sum(len(text.split()) for text in (chapter, (package / "README.md").read_text(encoding="utf-8")))


def report(results: list[dict[str, Any]]) -> str:
    lines = []
    for result in results:
        lines += [f"### A new {result['kind']}", "", "| command | seconds |", "|---|---|"]
        lines += [f"| `{step['command']}` | {step['seconds']:.1f} |" for step in result["steps"]]
        lines += [f"| reading, at {WORDS_A_MINUTE} words a minute | {result['reading_seconds']:.0f} |"]
        total = result["machine_seconds"] + result["reading_seconds"]
        lines += [f"| **together** | **{total:.0f}** |", ""]
        last = result["steps"][-1]
        outcome = f"exit code {last['code']}" if last["code"] else f"return {result['return']}"
        verdict = "kept" if result["kept"] else "missed"
        lines += [f"The trained agent: {outcome}. Under {LIMIT:.0f} s, with {SOLVED:.0f} or more: {verdict}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
