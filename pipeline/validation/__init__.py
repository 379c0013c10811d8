"""Runs the suites under expectations/ and keeps verdicts, never values."""

import os
import warnings

# Before Great Expectations is imported anywhere below: it must tell nobody that it runs.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
# It imports PySpark where that is installed, which warns of pandas 3 at each start; no suite runs on it.
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
