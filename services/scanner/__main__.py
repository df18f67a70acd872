"""The scanner as a process: `python -m services.scanner`, or `imagegate scanner`."""

import logging
import sys

from services.scanner.settings import ScannerSettings
from services.scanner.wiring import serve_scanner
from shared.domain.errors import InvalidRules, InvalidSettings
from shared.runtime.lifecycle import Lifecycle, run
from shared.runtime.logging import configure_logging
from shared.runtime.settings import read_settings

log = logging.getLogger("services.scanner")


def main() -> int:
    """Run until SIGTERM; the exit code."""
    try:
        settings = read_settings(ScannerSettings)
        configure_logging(style=settings.imagegate_log, level=settings.imagegate_log_level)
        return run(lambda life: _serve(settings, life))
    except (InvalidSettings, InvalidRules) as error:
        sys.stderr.write(f"imagegate scanner: {error}\n")
        return 2


async def _serve(settings: ScannerSettings, life: Lifecycle) -> int:
    async with serve_scanner(settings) as scanner:
        log.info("scanner answers", extra={"url": scanner.url})
        return await life.until_stopped()


if __name__ == "__main__":
    sys.exit(main())
