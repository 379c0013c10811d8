"""Tests on real input are no tests where it is not there: not collected, so not skipped either."""

from tests.real_data.folder import FOLDER

collect_ignore_glob = [] if FOLDER.is_dir() else ["test_*.py"]
