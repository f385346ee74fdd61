"""Start-up of the command line beside bare apps: `python benchmarks/startup.py [--json]`.

Both bare apps are written to a temporary folder and timed in turns with advdl: a typer app with two commands,
and one that also scans the `advdl` entry points beside pluggy without loading them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = """
import typer

app = typer.Typer()


@app.command()
def one() -> None:
    "The first."


@app.command("list")
def two() -> None:
    "The second."
    {body}


app()
"""

SCAN = """
    from importlib.metadata import entry_points
    import pluggy
    manager = pluggy.PluginManager("advdl")
    for point in entry_points(group="advdl"):
        print(point.name, point.value, point.dist.name, point.dist.version)
"""

LIMITS = {"advdl --help": ("typer --help", 1.3), "advdl plugins list": ("typer + pluggy scan", 1.5)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times = measure(commands(Path(folder)), arguments.repeats)
    rows = [row(name, times) for name in times]
    print(json.dumps(rows, indent=2) if arguments.json else table(rows))
    return 0 if all(r["limit"] is None or r["ratio"] <= r["limit"] for r in rows) else 1


def commands(folder: Path) -> dict[str, list[str]]:
    bare, scan = folder / "bare.py", folder / "scan.py"
    bare.write_text(BARE.format(body="pass"))
    scan.write_text(BARE.format(body=SCAN.strip()))
    advdl = [sys.executable, "-c", "import sys; from advdl.cli.app import main; sys.exit(main())"]
    return {
        "typer --help": [sys.executable, str(bare), "--help"],
        "typer --help, no rich": [sys.executable, str(bare), "--help"],
        "advdl --help": [*advdl, "--help"],
        "typer + pluggy scan": [sys.executable, str(scan), "list"],
        "advdl plugins list": [*advdl, "plugins", "list"],
    }


def measure(runs: dict[str, list[str]], repeats: int) -> dict[str, list[float]]:
    """Times every command in turns, after one round that fills the caches."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, command in runs.items():
            plain = {"TYPER_USE_RICH": "0"} if name.endswith("no rich") else {}
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=os.environ | plain)
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def row(name: str, times: dict[str, list[float]]) -> dict[str, object]:
    seconds = statistics.median(times[name])
    against, limit = LIMITS.get(name, (None, None))
    ratio = seconds / statistics.median(times[against]) if against else None
    return {"command": name, "seconds": seconds, "against": against, "ratio": ratio, "limit": limit}


def table(rows: list[dict[str, object]]) -> str:
    lines = [f"{'command':<24}{'median':>9}  {'ratio':>6}  {'limit':>6}  against"]
    for r in rows:
        ratio = f"{r['ratio']:>6.2f}  {r['limit']:>6}  {r['against']}" if r["against"] else ""
        lines.append(f"{r['command']:<24}{r['seconds']:>7.3f} s  {ratio}".rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
