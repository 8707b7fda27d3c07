"""A run as one HTML file: no script, no network, pictures inside."""

from fsslib.pictures.page.page import report_html
from fsslib.pictures.page.run import FoldRun, read_fold

__all__ = ["FoldRun", "read_fold", "report_html"]
