"""One HTML file that opens without a network."""

from .page import write_report

__all__ = ["write_report"]
