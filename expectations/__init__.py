"""What must hold before anything is released: suites that people read, and the expectations they are made of.

The suites, in the order in which they run; every check in them has a description in plain words:

    sources.yaml                                    how a period's sources were read
    staging_visitors.yaml, staging_customers.yaml   de-identified staging, before anything is counted
    people.yaml                                     bounded counts of people, before there is any noise
    release.yaml                                    the noisy tables, before a reviewer sees them
    bundle.yaml                                     what each audience is about to receive, before it becomes visible

The modules hold expectations that Great Expectations does not bring:

    personal_data    a column holds nothing that looks like personal data
    reading          every line that was read ended in one place
    contributions    bounded counts agree with each other, whoever the people are
    rows             each row of a table says what it is of, once, and its columns agree with each other
    sums             parts add up to their totals; a grouping reads the same wherever it stands
    noise            noise, thresholds and intervals are those the release declares
    budget           shares, scales and thresholds follow from epsilon, delta and k, and cost what was reserved
    drift            what changed since the release before, beyond what noise explains
    bundles          what recipients read is what was released
"""

import os

# Before Great Expectations is imported anywhere below: it must tell nobody that it runs.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
