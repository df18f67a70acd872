"""One intake process: `python -m services.intake`, or `imagegate intake`."""

import sys

from services.intake.settings import IntakeSettings
from services.intake.wiring import serve_intake
from shared.runtime.process import run_process


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run_process("intake", IntakeSettings, serve_intake)


if __name__ == "__main__":
    sys.exit(main())
