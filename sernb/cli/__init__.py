"""The ``sernb`` command."""
