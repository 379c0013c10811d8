"""A reviewer's decision, bound to the digest of what was decided."""
