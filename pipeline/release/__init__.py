"""Draws a release once. True counts end here."""
