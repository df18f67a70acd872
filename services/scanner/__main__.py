"""The scanner as a process: `python -m services.scanner`, or `imagegate scanner`."""

import logging
import sys

from services.scanner.settings import ScannerSettings
from services.scanner.wiring import serve_scanner
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.process import run_process

log = logging.getLogger("services.scanner")


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run_process("scanner", ScannerSettings, _serve)


async def _serve(settings: ScannerSettings, life: Lifecycle) -> int:
    async with serve_scanner(settings) as scanner:
        log.info("scanner answers", extra={"url": scanner.url})
        return await life.until_stopped()


if __name__ == "__main__":
    sys.exit(main())
