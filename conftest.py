"""What all suites share, those of the plugins too: the checks of `tests/support/strict.py`."""

pytest_plugins = ["support.strict"]
