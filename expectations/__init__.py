"""What must hold before anything is released: suites that people read, and the expectations they are made of.

``staging_visitors.yaml``, ``staging_customers.yaml`` and ``release.yaml`` are the suites; every check in them has a
description in plain words. The modules hold expectations that Great Expectations does not bring:

    personal_data    a column holds nothing that looks like personal data
    rows             each row of a table says what it is of, once, and its columns agree with each other
    sums             parts add up to their totals; a grouping reads the same wherever it stands
    noise            noise, thresholds and intervals are those the release declares
    budget           the levels' shares, scales and thresholds follow from epsilon, delta and k
"""

import os

# Before Great Expectations is imported anywhere below: it must tell nobody that it runs.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
