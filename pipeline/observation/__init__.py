"""What is told of the product while it works: logs without identifiers, metrics, and lineage of data sets."""
