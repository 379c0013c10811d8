"""Aggregated demographics, exported under a hard k-anonymity minimum and differential privacy.

The stages, in the order in which data flows through them. Each takes its predecessor's type and nothing earlier::

    sources       log files, customer databases, order exports   -> raw batches, in memory only
    deidentify    pseudonyms, generalisation, reject accounting   -> Staging
    people        one row a person, contribution bounding         -> BoundedGroups
    release       noise, selection, consistency: drawn once       -> PrivateRelease
    validation    Great Expectations, verdicts only               -> Verdicts
    review        a person's signed decision on these bytes       -> Approval
    publication   views for audiences, bundles, signatures        -> Publication
    delivery      who may read which part, by which token; a log  -> recipients

Beside the stages:

    spec, site, vocabulary   what may be released, from what, in which words (YAML, validated when loaded)
    observation              logs without identifiers, the catalogue of metrics, lineage of data sets
    filesystems              object stores and SFTP servers, opened with credentials and only where they are known
    measures, offer          what is told of a group; what a population offers to a specification
    policy                   which version of the privacy policy covers which purpose, and for whom
    rights                   people's requests, retention, and the periodic review of everything that was published
    recovery                 sealed backups of what cannot be made again, and back from them into an empty place
    privacy                  budget types, mechanisms, selection, least squares, accountant, and the ledger
    sample, onboarding       a synthetic site; a first site file for sources nobody described yet
    portal                   pages for privacy reviewers; for recipients an API, Delta Sharing and a feed; sees what is
                             released, and nothing before
    reference                JSON Schemas of the YAML files, and the page docs/specification.md, made from the models
    flow_staging, flow, flow_rights, flow_delivery, flow_observation
                             the stages called one after the other: what DAG tasks and the command line share
    library                  the pipeline as one function, for records of one's own
    audit                    attacks on the whole pipeline, with made-up people
    local                    Airflow on one machine: ``make run``
    cli                      the command-line program ``demographics``

True counts exist in ``people`` and inside one function of ``release``; contracts on imports hold that.
"""

__version__ = "0.1.0"
