"""Brings files from outside of docs/ into the documentation site, and leads links to them.

On GitHub a link from docs/data.md to ../data/README.md works as it stands; MkDocs knows nothing
outside of docs/. So each such file becomes a page of the site, and links are led to that page. The
notebook becomes a page with its outputs likewise.

The site loads nothing from elsewhere, so it has no Mermaid: a diagram is shown as its SVG, which
docs/diagram.py draws.
"""

import base64
import json
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
    "docs/notebooks/mining.ipynb": "notebook.md",
}
"""File of the project -> page of the site."""

LINK = re.compile(r"(!?\[([^\]]*)\])\(([^)\s#:]+)(#[^)\s]*)?\)")
"""A relative link or image: no scheme, which holds a colon, and not an anchor alone."""

DIAGRAM = re.compile(r"```mermaid\n.*?```\n", re.DOTALL)
PICTURE = (
    "![The stages; an arrow means that a stage reads what the other wrote](images/pipeline.svg)\n"
)


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 - MkDocs' own types
    """Add the pages."""
    from mkdocs.structure.files import File  # an optional extra: `lead` is tested without it

    for source, page in PAGES.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        if source.endswith(".ipynb"):
            content, pictures = notebook_page(content)
            for name, picture in pictures.items():
                files.append(File.generated(config, name, content=picture))
        elif not source.endswith(".md"):
            kind = "yaml" if source.endswith(".yaml") else "text"
            content = f"# {source}\n\n```{kind}\n{content}```\n"
        files.append(File.generated(config, page, content=content))
    return files


def notebook_page(notebook: str) -> tuple[str, dict[str, bytes]]:
    """Write an executed notebook (JSON) as Markdown, with the files of its pictures by name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    section = ""
    for cell in json.loads(notebook)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            section = next((x[3:] for x in source.splitlines() if x.startswith("## ")), section)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            if "text" in output:
                text = "".join(output["text"]).rstrip()
                parts.append(f"```text\n{text}\n```")
            for kind in ("jpeg", "png"):
                if f"image/{kind}" in output.get("data", {}):
                    name = f"images/notebook-{len(pictures) + 1}.{kind}"
                    pictures[name] = base64.b64decode("".join(output["data"][f"image/{kind}"]))
                    parts.append(f"![Output of section {section}](../{name})")
    return "\n\n".join(parts) + "\n", pictures


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401 - likewise
    """Lead the links of a page, which are relative to its file in the project."""
    sources = {uri: source for source, uri in PAGES.items()}
    here = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    shown = DIAGRAM.sub(PICTURE, markdown) if here == "docs/pipeline.md" else markdown
    return LINK.sub(lambda found: lead(found, here), shown)


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
