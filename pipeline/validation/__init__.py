"""Runs the suites under expectations/ and keeps verdicts, never values."""
