"""One webhook process: `python -m services.webhook`, or `imagegate webhook`."""

import sys

from services.webhook.settings import WebhookSettings
from services.webhook.wiring import serve_webhook
from shared.domain.errors import InvalidRules, InvalidSettings
from shared.runtime.lifecycle import run
from shared.runtime.logging import configure_logging
from shared.runtime.settings import read_settings


def main() -> int:
    """Run until SIGTERM; the exit code."""
    try:
        settings = read_settings(WebhookSettings)
        configure_logging(style=settings.imagegate_log, level=settings.imagegate_log_level)
        return run(
            lambda life: serve_webhook(settings, life), drain_deadline=settings.imagegate_drain
        )
    except (InvalidSettings, InvalidRules) as error:
        sys.stderr.write(f"imagegate webhook: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
