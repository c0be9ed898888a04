"""The report: one self-contained page with charts, numbers and a verdict."""

from scaling_cli.report.write import write_report

__all__ = ["write_report"]
