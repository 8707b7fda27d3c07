"""Brings files from outside of docs/ into the documentation site, and leads links to them.

On GitHub a link from docs/data.md to ../data/README.md works as it stands; MkDocs knows nothing
outside of docs/. So each such file becomes a page of the site, and links are led to that page.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "data/README.md": "archives.md",
    "params.yaml": "params.md",
    "LICENSE": "license.md",
}
"""File of the project -> page of the site."""

LINK = re.compile(r"(!?\[([^\]]*)\])\(([^)\s#:]+)(#[^)\s]*)?\)")
"""A relative link or image: no scheme, which holds a colon, and not an anchor alone."""


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 - MkDocs' own types
    """Add the pages."""
    from mkdocs.structure.files import File  # an optional extra: `lead` is tested without it

    for source, page in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        if not source.endswith(".md"):
            kind = "yaml" if source.endswith(".yaml") else "text"
            content = f"# {source}\n\n```{kind}\n{content}```\n"
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401 - likewise
    """Lead the links of a page, which are relative to its file in the project."""
    sources = {uri: source for source, uri in PAGES.items()}
    here = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return LINK.sub(lambda found: lead(found, here), markdown)


def lead(link: re.Match[str], here: str) -> str:
    """A link of the project's file `here` as it is on the site.

    One to a file or folder that exists outside of the site becomes plain text. One to nothing stays
    as it is, and the strict build names it.
    """
    label, text, target, anchor = link.groups(default="")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    page = PAGES.get(path) or path.removeprefix("docs/")
    if path in PAGES or path.startswith("docs/"):
        source = PAGES.get(here) or here.removeprefix("docs/")
        return f"{label}({posixpath.relpath(page, posixpath.dirname(source) or '.')}{anchor})"
    return text if (ROOT / path).exists() else link[0]
