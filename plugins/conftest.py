"""What the suites of all plugins share: the checks of `tests/support/strict.py`."""

from support.strict import pytest_configure as pytest_configure
from support.strict import pytest_runtest_teardown as pytest_runtest_teardown
