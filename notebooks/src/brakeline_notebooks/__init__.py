"""What the notebooks' cells call, and the start of JupyterLab."""

__version__ = "0.1.0"
