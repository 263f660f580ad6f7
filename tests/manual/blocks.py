"""The blocks of the pages that people read, and which of them a test takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
PAGES: Final = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str

    @property
    def name(self) -> str:
        """The page and the first line that is more than an import."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        telling = [line for line in lines if not line.startswith(("from ", "import ", '"""'))] or lines
        return f"{self.page}: {telling[0].strip()}"


def blocks_of(page: str) -> list[Block]:
    return [Block(page, language, text) for language, text in _FENCE.findall((ROOT / page).read_text(encoding="utf-8"))]


BLOCKS: Final = [block for page in PAGES for block in blocks_of(page)]
#: The blocks that a test has taken.
TAKEN: Final[set[Block]] = set()


def take(page: str, words: str, language: str = "sh") -> str:
    """Return the text of the one block of this page, in this language, that holds these words; it counts as run."""
    [block] = [block for block in blocks_of(page) if words in block.text and block.language == language]
    TAKEN.add(block)
    return block.text
