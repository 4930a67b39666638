"""Deploy: put a registered model before its server, prove that it answers, and go back if it does not."""

__version__ = "0.1.0"
