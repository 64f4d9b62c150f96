"""What a run did and what it cost, for people, spreadsheets and model cards."""

from trimtab_monitor.report.build import RunView, build_report

__all__ = ["RunView", "build_report"]
