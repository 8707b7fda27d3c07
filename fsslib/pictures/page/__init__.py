"""The report of a run as one HTML file, without scripts or requests, with embedded pictures."""

from fsslib.pictures.page.page import report_html
from fsslib.pictures.page.run import FoldRun, read_fold

__all__ = ["FoldRun", "read_fold", "report_html"]
