"""Reporting: notebooks are executed and become HTML pages, pages become a report with an index."""
