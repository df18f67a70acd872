"""What holds for every test."""

import pytest
from hypothesis import settings

# A deadline for each example would be an assertion about speed, on machines that others share.
settings.register_profile("imagegate", deadline=None)
settings.load_profile("imagegate")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what a test that passed has to say all the same: `record_property("said", line)`."""
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == "said":
                terminalreporter.write_line(str(line))
