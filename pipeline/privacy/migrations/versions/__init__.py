"""One file a version of the tables, each written once and never changed."""
