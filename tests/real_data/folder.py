"""Where real input lies: outside the project, named by DEMOGRAPHICS_REAL_DATA, or in a folder beside the checkout."""

import os
from pathlib import Path

FOLDER = Path(os.environ.get("DEMOGRAPHICS_REAL_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
