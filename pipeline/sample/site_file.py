"""The sample's site file and its policy, with the comments that an engineer would want in them."""

from __future__ import annotations

SITE_FILE = """\
# A SYNTHETIC SITE, made by `demographics sample`. Nobody in it exists; every name, address and order is invented.
#
# A site file says which sources there are, what of them is read, and how that is generalised. What it does not
# declare is never read: of the columns of a table, for example, only those that are named below.

site: Example Software (synthetic sample)
publisher: Example Software
contact: privacy@example.com
synthetic: true # whatever is made from these sources says so
time_zone: UTC # where days, weeks and months begin

# What all releases about one population may tell about one person over a rolling year, together. A release that would
# go beyond is refused before any noise is drawn.
budget:
  visitors: {epsilon: 30, delta: 1.0e-4}
  customers: {epsilon: 30, delta: 1.0e-4}

visitors:
  period: week # a visitor of one week cannot be told to be the visitor of another
  logs:
    - paths: ["sources/logs/access.log*"] # rotated, plain or packed
      format: combined
      trailing_fields: [accept_language] # logged after the user agent
  own_domains: [example.com]
  max_rejected_share: 0.01 # ingestion stops if more of the lines cannot be used

  # The first rule that matches a path wins; what none matches is counted as other.
  sections:
    - {section: home, paths: ["/", "/index.html"]}
    - {section: product, paths: ["/product/*"]}
    - {section: pricing, paths: ["/pricing", "/pricing/*"]}
    - {section: docs, paths: ["/docs/*"]}
    - {section: download, paths: ["/download/*"]}
    - {section: blog, paths: ["/blog/*"]}
    - {section: support, paths: ["/support/*"]}
    - {section: account, paths: ["/account/*"]}
    - {section: store, paths: ["/store/*"]}

  # Sites that a table may name; any other is counted as other, so that nobody's intranet turns up in a release.
  referrer_domains:
    - google.com
    - google.de
    - google.co.uk
    - google.fr
    - bing.com
    - duckduckgo.com
    - ecosia.org
    - yahoo.com
    - live.com
    - linkedin.com
    - reddit.com
    - t.co
    - facebook.com
    - youtube.com
    - ycombinator.com
    - github.com
    - stackoverflow.com
    - wikipedia.org
    - g2.com
    - capterra.com

customers:
  period: month
  source: {kind: database, url: "sqlite:///sources/customers.db", table: customers}
  person: customer_id # becomes a pseudonym; the table's name and phone are not declared and never read
  email: email # becomes a second pseudonym, by which whoever names it in a request is found; it is not stored
  signed_up: signed_up # who signed up after a period is not counted in it
  # Which version of policy.yaml binds a customer: the one they accepted, or one they were notified of long enough ago.
  # Who opted out is left out.
  policy:
    accepted: policy_version
    notified: notified_version
    notified_on: notified_on
    opted_out: opted_out
  max_rejected_share: 0.01
  dimensions:
    country: {kind: country, column: country}
    customer_kind:
      kind: category
      column: customer_kind
      title: Kind of customer
      values: [personal, business, education]
    seats: {kind: band, column: seats, title: Seats, edges: [2, 5, 20, 100]}
    signed_up_year: {kind: year, column: signed_up, title: Year of sign-up, first: 2019, last: 2026}
  orders:
    # The payment service's export. How something was paid is none of this product's business: a file with
    # card or account numbers is refused.
    source: {kind: csv, path: sources/orders.csv}
    person: customer_id
    placed: placed_at
    product: product
    products: [Studio, Studio Pro, Server, Mobile, Cloud]
    # What an order came to, so that tables may add up revenue. An amount that is not a number with two decimals at
    # most is rejected; refunds are negative.
    amount: {column: total, currency: EUR, decimals: 2}
    max_rejected_share: 0.01
"""

POLICY_FILE = """\
# The versions of the SYNTHETIC SITE'S privacy policy, made by `demographics sample`.
#
# A release names one of these purposes. It is refused unless the version in force has that purpose for every audience
# of the release, and it counts only those whom a version that has it binds. A purpose or an audience that people were
# not told of takes a new version, and notice of it: no entry here is changed once its day has come.

notice_days: 30 # between a notice of a version and its binding whom it was sent to

versions:
  - version: "2019-01"
    effective: 2019-01-01
    purposes:
      aggregated_demographics:
        text: >-
          We give generic aggregated demographic information about visitors and customers, not linked to any
          individual, to partners, affiliates and resellers.
        audiences: [partner, affiliate, reseller]
  - version: "2024-05"
    effective: 2024-05-01
    purposes:
      aggregated_demographics: # now for advertisers too
        text: >-
          We give generic aggregated demographic information about visitors and customers, not linked to any
          individual, to partners, affiliates, resellers and advertisers.
        audiences: [partner, affiliate, reseller, advertiser]
      site_trends:
        text: >-
          We give generic aggregated information about trends, errors and movements of visitors, not linked to any
          individual, to partners, affiliates, resellers and advertisers.
        populations: [visitors]
        audiences: [partner, affiliate, reseller, advertiser]
"""

READ_ME = """\
Everything in this folder is synthetic. It was made by `demographics sample` with seed {seed}.
Nobody in it exists: names, e-mail addresses (example.org and the like), tokens and orders are invented, and network
addresses were drawn at random. The same seed and sizes give the same files again.

logs/access.log*   {lines:,} lines of {visitors:,} visitors and some crawlers, 2026-10-05 to 2026-10-18, UTC
customers.db       SQLite, table customers, {customers:,} rows
orders.csv         {orders:,} orders, 2026-09-01 to 2026-10-31, as a payment service would export them
sample.json        what was asked for, for writing the same again
"""
