"""One webhook process: `python -m services.webhook`, or `imagegate webhook`."""

import sys

from services.webhook.settings import WebhookSettings
from services.webhook.wiring import serve_webhook
from shared.runtime.process import run_process


def main() -> int:
    """Run until SIGTERM; the exit code."""
    return run_process("webhook", WebhookSettings, serve_webhook)


if __name__ == "__main__":
    sys.exit(main())
