"""Runs become records; the only room that knows MLflow."""
