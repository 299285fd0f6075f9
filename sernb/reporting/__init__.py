"""Reporting: execution of notebooks, HTML pages, and reports with an index."""
