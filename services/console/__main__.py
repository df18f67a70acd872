"""One console process: `python -m services.console`, or `imagegate console`."""

import sys

from services.console.settings import ConsoleSettings
from services.console.wiring import serve_console
from shared.runtime.process import run_process


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run_process("console", ConsoleSettings, serve_console)


if __name__ == "__main__":
    sys.exit(main())
