"""File systems of other machines, opened with credentials: for sources that are read and stores that are written."""
