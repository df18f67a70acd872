"""What holds for every test."""

import asyncio
import signal
from collections.abc import Callable, Mapping

import pytest
from hypothesis import settings

from tests.fakes.virtual_time import VirtualLoop
from tests.once_more import ENDED

# A deadline for each example would be an assertion about speed, on machines that others share.
settings.register_profile("imagegate", deadline=None)
settings.load_profile("imagegate")


def pytest_configure() -> None:
    """A shell that starts a run in the background has it ignore SIGINT, and with it each command
    that a test starts and means to end by that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with real servers come first: they are the longest, and mostly wait.

    A file stays in one process, so one that is long and begins late has the others idle at the
    end. What is left for the end is many short files. xdist keeps this order only when told not to
    begin with the files that have the most tests (`--no-loadscope-reorder`).
    """
    long = {item.path for item in items if item.get_closest_marker("servers")}
    items.sort(key=lambda item: item.path not in long)


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The one kind of loop on which a test runs: a virtual one where its mark says so."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Note how the run ended, beside which tests failed: see `tests/once_more.py`."""
    cache = getattr(session.config, "cache", None)
    if cache is not None and not hasattr(session.config, "workerinput"):
        cache.set(ENDED, int(exitstatus))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what a test that passed has to say all the same: `record_property("said", line)`."""
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == "said":
                terminalreporter.write_line(str(line))
