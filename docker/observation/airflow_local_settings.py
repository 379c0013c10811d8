"""Of Airflow's own settings: what its processes log is redacted. It belongs into ``$AIRFLOW_HOME/config``."""

from pipeline.observation.airflow_logs import configure_logging

__all__ = ["configure_logging"]
