"""A run as one HTML file: no script, no network, pictures inside."""

from fsslib.html_report.page import report_html
from fsslib.html_report.run import FoldRun, read_fold

__all__ = ["FoldRun", "read_fold", "report_html"]
