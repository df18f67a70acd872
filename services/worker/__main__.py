"""One worker process: `python -m services.worker`, or `imagegate worker`."""

import sys

from services.worker.settings import WorkerSettings
from services.worker.wiring import serve_worker
from shared.runtime.process import run_process


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run_process("worker", WorkerSettings, serve_worker)


if __name__ == "__main__":
    sys.exit(main())
