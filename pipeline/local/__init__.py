"""Airflow on one machine: sets it up, runs the DAGs, sums up."""
