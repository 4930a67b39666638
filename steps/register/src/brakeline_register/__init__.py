"""Register: versions of models, of which one may be live; nothing enters without a passed verdict."""

__version__ = "0.1.0"
