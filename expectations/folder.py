"""Where the suites lie."""

from pathlib import Path
from typing import Final

SUITES: Final = Path(__file__).parent
