"""The scanner as a process: `python -m services.scanner`, or `imagegate scanner`."""

import sys

from services.scanner.settings import ScannerSettings
from services.scanner.wiring import serve_scanner
from shared.runtime.process import run_process


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run_process("scanner", ScannerSettings, serve_scanner)


if __name__ == "__main__":
    sys.exit(main())
