"""Airflow: what DAG files share, and running it on one machine from the sources to a summary."""
