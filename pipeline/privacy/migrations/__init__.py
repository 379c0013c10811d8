"""How the ledger's tables came to be as they are: Alembic's scripts, found by this package's own place."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
