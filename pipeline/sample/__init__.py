"""A synthetic site of a software vendor, for trying the product out."""

from pipeline.sample.site import SampleSummary, write_sample

__all__ = ["SampleSummary", "write_sample"]
