"""Runs inside the stores' images: starts a real S3 store or a real MariaDB on a volume, and asks whether it serves."""
