"""A synthetic site of a software vendor, for trying the product out."""
