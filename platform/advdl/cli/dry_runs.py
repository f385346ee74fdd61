"""``python -m advdl.cli.dry_runs``: resolves the settings of several commands, and trains nothing.

Takes a JSON array of commands, each an array of words, on standard input; prints the last one's settings as JSON, or
fails with the first one that is refused.
"""

import contextlib
import io
import json
import sys

from advdl.cli.app import main


def resolve_all() -> int:
    """Returns the exit code of the first command that is refused, or 0."""
    said = ""
    for words in json.load(sys.stdin):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            code = main([*words, "--dry-run", "--json"])
        if code:
            return code
        said = output.getvalue()
    print(said)
    return 0


if __name__ == "__main__":
    sys.exit(resolve_all())
