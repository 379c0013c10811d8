"""The sample's entitlements: a recipient of each kind, and two resellers with countries of their own."""

from __future__ import annotations

from typing import Final

ENTITLEMENTS_FILE: Final = """\
# Who receives what, beneath what the release specifications grant to each kind of audience.
#
# For the privacy reviewer
# ------------------------
# Nobody who is not named here receives anything, and nothing here gives more than a specification does: entitlements
# only take away. Every part is cut out of the one noisy release, so that recipients who compare notes learn no more.
# The file does nothing until a reviewer approves exactly these bytes: demographics entitlements show.

recipients:
  - name: acme
    title: Acme Analytics
    audience: partner
    receives:
      weekly_audience: {}     # all that the audience receives
      weekly_movements: {}
      monthly_customers: {}

  - name: linker
    title: Linker Network
    audience: affiliate
    until: 2031-01-01         # the first day on which nothing can be read any more
    receives:
      weekly_audience: {}
      monthly_customers: {embargo_hours: 24}   # a day after its approval

  # Resellers see their own countries.
  - name: north
    title: North Resale
    audience: reseller
    receives:
      weekly_audience:
        rows: {country: [DE, DK, "NO", SE]}
        totals: true          # with rows about all countries, so that shares and indices can be told
        kept_days: 730        # for two years after the end of its period
      monthly_customers:
        rows: {country: [DE, DK, "NO", SE]}
  - name: south
    title: South Resale
    audience: reseller
    receives:
      weekly_audience:
        rows: {country: [ES, FR, IT, PT]}
        totals: true

  - name: adline
    title: Adline
    audience: advertiser
    receives:
      weekly_audience: {}
"""
