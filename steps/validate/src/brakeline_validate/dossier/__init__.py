"""The dossier: the verdict and its evidence as one page that needs no network, prints well and is dark at night."""

from brakeline_validate.dossier.page import write

__all__ = ["write"]
