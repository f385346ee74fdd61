"""What the benchmarks share: starting `advdl`, describing the machine, medians, Markdown tables and verdicts."""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from advdl.experiment.provenance import git_state, machine, versions

ROOT = Path(__file__).resolve().parents[1]
ADVDL = [sys.executable, "-c", "import sys; from advdl.cli.app import main; sys.exit(main())"]

Row = dict[str, Any]


def arguments_parser(text: str | None, *, seeds: str) -> argparse.ArgumentParser:
    """Begins a benchmark's command line with the options that all have."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON, every number in full")
    parser.add_argument("--seeds", type=seed_list, default=seed_list(seeds), help=f"such as 0-9 or 0,3,5 ({seeds})")
    load = os.getloadavg()[0]
    parser.set_defaults(load=load)
    if load > 0.3:
        say(f"load average {load:.1f}: others are at work on this machine, so times will be too long")
    return parser


def seed_list(text: str) -> list[int]:
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """Gives a temporary folder for runs and caches, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="advdl-benchmark-") as folder:
        yield Path(folder)


def environment(cache: Path) -> dict[str, str]:
    """Returns this environment without advdl's own variables, with compiled programs kept in ``cache``."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ADVDL_")}
    return {**plain, "ADVDL_XLA_CACHE": str(cache)}


def sets(settings: Mapping[str, Any]) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def launch(arguments: Sequence[str], folder: Path, cache: Path) -> subprocess.Popen[str]:
    """Starts ``advdl`` in ``folder``; its runs are in ``folder/runs``."""
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [*ADVDL, *arguments],
        cwd=folder,
        env=environment(cache),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr.txt").open("a"),
        text=True,
    )


def child(command: Sequence[str], folder: Path, cache: Path) -> Row:
    """Runs a Python script that prints one JSON object; a failure's last words are shown."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment(cache), capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr[-1000:]}")
    data: Row = json.loads(done.stdout)
    return data


@dataclass(frozen=True)
class Finished:
    """An ``advdl`` command that has ended: exit code, what ``--json`` printed, wall time in seconds."""

    code: int
    data: Row
    seconds: float


def finish(process: subprocess.Popen[str], began: float) -> Finished:
    output, _ = process.communicate()
    seconds = time.perf_counter() - began
    return Finished(process.returncode, json.loads(output) if process.returncode == 0 else {}, seconds)


def advdl(arguments: Sequence[str], folder: Path, cache: Path) -> Finished:
    """Runs ``advdl ... --json`` to its end; a failure's last words are shown."""
    began = time.perf_counter()
    done = finish(launch([*arguments, "--json"], folder, cache), began)
    if done.code:
        say(f"advdl exited with {done.code}: {(folder / 'stderr.txt').read_text()[-500:]}")
    return done


def only_run(folder: Path) -> Path | None:
    """Returns the folder of the run under ``folder/runs``, once it is there."""
    return next((path.parent for path in folder.glob("runs/*/*/*/run.json")), None)


def kept_run(command: Sequence[str], folder: Path, cache: Path) -> int:
    """Begins the one run of ``folder``, goes on with it if it was cut off, or leaves it if it has ended.

    Returns:
        The exit code.
    """
    run = only_run(folder)
    if run is not None and ended(run):
        return 0
    if run is not None and list(run.glob("checkpoints/step-*")):
        return advdl(["runs", "resume", str(run), "--quiet"], folder, cache).code
    if run is not None:  # cut off before it had saved anything
        shutil.rmtree(run)
    return advdl(command, folder, cache).code


def ended(run: Path) -> Row:
    """Returns a run's final evaluation, empty where there is none yet."""
    finals = [row for row in journal(run / "evaluations.jsonl") if row["kind"] == "final"]
    return finals[-1] if finals else {}


def journal(path: Path) -> list[Row]:
    """Reads the whole lines of a journal that may still be written to."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def recipe_digest(*files: str) -> str:
    """Returns a digest of recipes, each a path below ``plugins``; of one that is not there it says so too."""
    parts = [path.read_bytes() if path.exists() else b"-" for path in (ROOT / "plugins" / file for file in files)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def spread(values: Sequence[float | None]) -> Row:
    """Returns median, least and greatest of the values that are there."""
    known = [value for value in values if value is not None]
    if not known:
        return {"median": None, "min": None, "max": None, "n": 0}
    return {"median": statistics.median(known), "min": min(known), "max": max(known), "n": len(known)}


def spreads(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    return [{"figure": column, **spread([row[column] for row in rows])} for column in columns]


def ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours is not None and theirs else None


@dataclass
class Report:
    """A benchmark's result: printed as Markdown or JSON, and an exit code that says whether all claims hold."""

    title: str
    settings: Row
    load: float
    rows: list[Row]
    summary: list[Row] = field(default_factory=list)
    verdicts: list[tuple[str, bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    peers: Sequence[str] = ()

    def emit(self, *, as_json: bool) -> int:
        data = self._data()
        print(json.dumps(data, indent=2) if as_json else self._markdown(data))
        return 0 if all(passed for _, passed in self.verdicts) else 1

    def _data(self) -> Row:
        return {
            "benchmark": self.title,
            "command": " ".join(["python", "benchmarks/" + Path(sys.argv[0]).name, *sys.argv[1:]]),
            "date": time.strftime("%Y-%m-%d"),
            "machine": machine(),
            "load_before": self.load,
            "load_after": os.getloadavg()[0],
            "versions": {**versions(), **{name: metadata.version(name) for name in self.peers}},
            "git": git_state(ROOT),
            "settings": self.settings,
            "rows": self.rows,
            "summary": self.summary,
            "verdicts": [{"claim": claim, "passed": passed} for claim, passed in self.verdicts],
            "notes": self.notes,
        }

    def _markdown(self, data: Row) -> str:
        git = data["git"] or {"commit": "none", "dirty": False}
        facts = data["machine"]
        lines = [
            f"### {self.title}",
            "",
            f"`{data['command']}`, {data['date']}, commit {git['commit'][:10]}{' + changes' * bool(git['dirty'])}.",
            f"{facts['cpu']}, {facts['cores']} cores, {facts['os']}, load {data['load_before']:.1f} before;",
            ", ".join(f"{name} {version}" for name, version in data["versions"].items()) + ".",
            "Settings: " + ", ".join(f"{key} {shown(value)}" for key, value in self.settings.items()) + ".",
            "",
            table(self.rows),
        ]
        lines += ["", table(self.summary)] if self.summary else []
        lines += ["", *(f"- {'holds' if passed else 'DOES NOT HOLD'}: {claim}" for claim, passed in self.verdicts)]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])


def table(rows: Sequence[Row]) -> str:
    """Renders rows as a Markdown table; the columns are the first row's keys, lists are left to ``--json``."""
    columns = [key for key, value in rows[0].items() if not isinstance(value, list | dict)]
    cells = [[shown(row[column]) for column in columns] for row in rows]
    names = [column.replace("_", " ") for column in columns]
    widths = [max(3, *map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = [names, [("-" * (width - 1)) + ":" for width in widths], *cells]
    padded = ([cell.rjust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
