"""Runs mining.py in Jupyter and writes mining.ipynb with its outputs: `make notebook`.

The same text gives the same cell ids, and no times or warnings are kept, so a diff shows what
changed.
"""

from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

TEXT = Path(__file__).with_name("mining.py")


def main() -> None:
    """Write the notebook beside its text."""
    notebook = jupytext.read(TEXT)
    notebook.metadata.pop("jupytext", None)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False)
    client.execute()
    notebook.metadata["language_info"] = {"name": "python"}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    nbformat.write(notebook, TEXT.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
