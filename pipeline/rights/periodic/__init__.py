"""The periodic review: everything that was published, and all that is kept, against what was promised."""

from pipeline.rights.periodic.findings import Failure, Finding, Findings
from pipeline.rights.periodic.reviewing import review_everything, write_report

__all__ = ["Failure", "Finding", "Findings", "review_everything", "write_report"]
