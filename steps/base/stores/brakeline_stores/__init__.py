"""Runs inside the stores' images: starts a real S3 store, MariaDB or Prometheus on a volume, and asks if it serves."""
