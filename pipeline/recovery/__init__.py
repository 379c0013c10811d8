"""Backups: everything that cannot be made again, in one sealed file, and back from it into an empty place."""
