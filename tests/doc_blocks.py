"""The blocks of code in a page of Markdown."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ATTRIBUTE = re.compile(r'(\w+)="?([^"\s]+)"?')


@dataclass(frozen=True)
class Block:
    """A block: its language, its attributes (``title="a.py"``, ``exit=2``), its text and the line it begins at."""

    language: str
    text: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.attributes.get("title", "")

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, continued ones joined, without comments."""
        joined = self.text.replace("\\\n", " ")
        lines = (re.sub(r"\s+#\s.*", "", line).strip() for line in joined.splitlines())
        return [line for line in lines if line and not line.startswith("#")]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(found[1], found[3], line, dict(_ATTRIBUTE.findall(found[2])))
