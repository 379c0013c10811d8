"""Readers of log files, customer databases and order exports. Raw values live in memory only."""
