"""The ``lord`` command."""
