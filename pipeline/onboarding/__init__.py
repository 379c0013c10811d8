"""Looks at sources nobody described yet and writes a first site file and specifications."""

from pipeline.onboarding.first_site import OnboardingReport, describe, write_first_site

__all__ = ["OnboardingReport", "describe", "write_first_site"]
