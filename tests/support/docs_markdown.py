"""Markdown as far as the tests of the documentation need it: blocks of code, links, anchors."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.support.project import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^ *(```+)([^\n`]*)\n(.*?)^ *\1[ \t]*$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    \S.*\n)+", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s+<?(\S+?)>?\s*$", re.MULTILINE)
HTML = re.compile(r"""<(?:a|img)\b[^>]*\b(?:href|src)=["']([^"']+)["']""")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code: where it stands, its language, its text, whether it needs data to run.

    The last is said by `<!-- needs data -->` on the line above.
    """

    where: str
    language: str
    code: str
    needs_data: bool = False


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def blocks(path: Path) -> list[Block]:
    """Fenced blocks, and indented ones of one command as `sh`."""
    text = path.read_text(encoding="utf-8")
    found = [(m.start(), m[2].strip(), dedent(m[3])) for m in FENCE.finditer(text)]
    prose = FENCE.sub(lambda m: "\n" * m[0].count("\n"), text)
    for m in INDENTED.finditer(prose):
        if re.match(r" {4}(python|fss|dvc|make)\b", m[0]):
            found.append((text.index(m[0]), "sh", m[0]))
    return [
        Block(
            f"{name_of(path)}:{text[:at].count(chr(10)) + 1}",
            language,
            code,
            text[:at].rstrip().endswith("<!-- needs data -->"),
        )
        for at, language, code in found
    ]


def prose_code(path: Path) -> list[str]:
    """What stands in backticks within the text."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return re.findall(r"(?<!`)`([^`]+)`(?!`)", text)


def prose(path: Path) -> str:
    """The text without code, in blocks and within lines."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text)


def links(path: Path) -> list[str]:
    """Relative targets of links and images."""
    text = prose(path)
    found = [*LINK.findall(text), *REFERENCE.findall(text), *HTML.findall(text)]
    return [t for t in found if not re.match(r"[a-z][a-z+.-]*:", t)]


def anchors(path: Path) -> set[str]:
    """Ids that GitHub gives to the headings, a number added to a repeated one."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    found: dict[str, int] = {}
    ids = set(re.findall(r"""\b(?:id|name)=["']([^"']+)["']""", text))
    for heading in HEADING.findall(text):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        repeated = found.get(slug, 0)
        found[slug] = repeated + 1
        ids.add(f"{slug}-{repeated}" if repeated else slug)
    return ids
