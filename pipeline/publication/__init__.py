"""Views, bundles, signatures, reports: what recipients get."""
