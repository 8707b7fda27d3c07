"""Draws the pipeline from DVC's own graph, for docs/pipeline.md.

    python docs/diagram.py --write

`dvc dag --mermaid --collapse-foreach-matrix` has an arrow for every file that a stage reads. Here
an arrow is left out where a longer way says the same. The block in the page is Mermaid, which
GitHub draws. The site needs no network, so docs/site_hook.py shows the same graph there as an SVG.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import networkx as nx
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/pipeline.md"
PICTURE = ROOT / "docs/images/pipeline.svg"
BLOCK = re.compile(r"```mermaid\n(.*?)```\n", re.DOTALL)
STEP_X, STEP_Y, WIDTH, HEIGHT, EDGE = 190, 54, 130, 32, 20
"""Distances and sizes in the picture, px."""


def read_graph() -> nx.DiGraph:
    """The stages and what they read from each other, without arrows that longer ways imply."""
    command = [sys.executable, "-m", "dvc", "dag", "--mermaid", "--collapse-foreach-matrix"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    names = dict(re.findall(r'(node\d+)\["(\w+)"\]', done.stdout))
    arrows = re.findall(r"(node\d+)-->(node\d+)", done.stdout)
    whole = nx.DiGraph([(names[a], names[b]) for a, b in arrows])
    return nx.transitive_reduction(whole)


def per_fold() -> set[str]:
    """Stages that run once a fold."""
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {name for name, body in stages.items() if "matrix" in body}


def order(graph: nx.DiGraph) -> list[str]:
    """The stages from first to last; the same graph gives the same order."""
    return list(nx.lexicographical_topological_sort(graph))


def mermaid(graph: nx.DiGraph, folds: set[str]) -> str:
    """The graph as Mermaid text."""
    inside = [f"        {name}" for name in order(graph) if name in folds]
    arrows = [
        f"    {name} --> {other}"
        for name in order(graph)
        for other in sorted(graph.successors(name))
    ]
    box = ["    subgraph folds [one per fold]", *inside, "    end"]
    return "\n".join(["flowchart TD", *box, *arrows]) + "\n"


def places(graph: nx.DiGraph) -> dict[str, tuple[int, int]]:
    """Upper left corner of each stage's box: the longest way in one column, the rest beside it."""
    row: dict[str, int] = {}
    for name in order(graph):
        row[name] = max((row[above] + 1 for above in graph.predecessors(name)), default=0)
    chain = nx.dag_longest_path(graph, topo_order=order(graph))
    return {name: (EDGE + STEP_X * (name not in chain), EDGE + STEP_Y * row[name]) for name in row}


def svg(graph: nx.DiGraph, folds: set[str]) -> str:
    """The graph as a picture that needs no script; stages that run once a fold are filled."""
    corner = places(graph)
    wide = max(x for x, _ in corner.values()) + WIDTH + EDGE
    high = max(y for _, y in corner.values()) + HEIGHT + EDGE + 24
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" '
        f'height="{high}" font-family="sans-serif" font-size="14">',
        '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#455a64"/></marker>',
        f'<rect width="{wide}" height="{high}" fill="white"/>',
    ]
    for name, other in sorted(graph.edges):
        (x, y), (ox, oy) = corner[name], corner[other]
        start, end = (x + WIDTH // 2, y + HEIGHT), (ox + WIDTH // 2, oy)
        if x != ox:  # into or out of the other column: along its middle, then to the side
            side = WIDTH if x < ox else 0
            start = (x + side, y + HEIGHT // 2)
            end = (ox + (0 if x < ox else WIDTH), oy + HEIGHT // 2)
        lines.append(
            f'<path d="M{start[0]} {start[1]} L{end[0]} {end[1]}" stroke="#455a64" fill="none" '
            'marker-end="url(#tip)"/>'
        )
    for name, (x, y) in corner.items():
        fill = "#cfd8dc" if name in folds else "white"
        lines.append(
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{fill}" '
            f'stroke="#455a64"/><text x="{x + WIDTH // 2}" y="{y + 21}" text-anchor="middle">'
            f"{name}</text>"
        )
    lines.append(f'<text x="{EDGE}" y="{high - 14}" font-size="12">grey: one per fold</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def main() -> None:
    """Print the graph as Mermaid, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="change the page and the picture")
    graph, folds = read_graph(), per_fold()
    if parser.parse_args().write:
        block = f"```mermaid\n{mermaid(graph, folds)}```\n"
        page = BLOCK.sub(lambda _: block, PAGE.read_text(encoding="utf-8"))
        PAGE.write_text(page, encoding="utf-8")
        PICTURE.write_text(svg(graph, folds), encoding="utf-8")
    else:
        print(mermaid(graph, folds), end="")


if __name__ == "__main__":
    main()
