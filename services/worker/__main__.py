"""One worker process: `python -m services.worker`, or `imagegate worker`."""

import sys

from services.worker.settings import WorkerSettings
from services.worker.wiring import serve_worker
from shared.domain.errors import InvalidRules, InvalidSettings
from shared.runtime.lifecycle import run
from shared.runtime.logging import configure_logging
from shared.runtime.settings import read_settings


def main() -> int:
    """Run until SIGTERM; the exit code."""
    try:
        settings = read_settings(WorkerSettings)
        configure_logging(style=settings.imagegate_log, level=settings.imagegate_log_level)
        return run(
            lambda life: serve_worker(settings, life), drain_deadline=settings.imagegate_drain
        )
    except (InvalidSettings, InvalidRules) as error:
        sys.stderr.write(f"imagegate worker: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
