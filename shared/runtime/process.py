"""What every process of ours does around its work: settings, log, event loop, exit code."""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, TypeVar

import msgspec

from shared.domain.errors import InvalidRules, InvalidSettings
from shared.runtime.lifecycle import Lifecycle, run
from shared.runtime.logging import configure_logging
from shared.runtime.settings import read_settings
from shared.runtime.state import StateSettings


class ProcessSettings(StateSettings, frozen=True, kw_only=True):
    """What every process can be told."""

    imagegate_drain: Annotated[float, msgspec.Meta(gt=0, le=600)] = 25.0
    """Seconds between SIGTERM and the end of what is in flight."""
    imagegate_log: Literal["json", "console"] = "json"
    imagegate_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


Settings = TypeVar("Settings", bound=ProcessSettings)


def run_process(
    name: str, settings: type[Settings], serve: Callable[[Settings, Lifecycle], Awaitable[int]]
) -> int:
    """Read the settings and run `serve` until SIGTERM; the exit code, 2 for what a person must
    correct, said in one line."""
    try:
        read = read_settings(settings)
        configure_logging(style=read.imagegate_log, level=read.imagegate_log_level)
        return run(lambda life: serve(read, life), drain_deadline=read.imagegate_drain)
    except (InvalidSettings, InvalidRules) as error:
        sys.stderr.write(f"imagegate {name}: {error}\n")
        return 2
