"""`imagegate webhook`, `worker`, `intake`, `console`, `scanner`: each told by its environment."""

import typer

from services.console.__main__ import main as console_main
from services.intake.__main__ import main as intake_main
from services.scanner.__main__ import main as scanner_main
from services.webhook.__main__ import main as webhook_main
from services.worker.__main__ import main as worker_main


def webhook() -> None:
    """Answer the API server's reviews (REDIS_URL, AMQP_URL)."""
    raise typer.Exit(webhook_main())


def worker() -> None:
    """Take steps from the queue (REDIS_URL, AMQP_URL, ANCHORE_URL)."""
    raise typer.Exit(worker_main())


def intake() -> None:
    """Take push events from registries and pipelines (REDIS_URL, AMQP_URL)."""
    raise typer.Exit(intake_main())


def console() -> None:
    """Show queue, decisions and verdicts to people: an API and a page (REDIS_URL, AMQP_URL)."""
    raise typer.Exit(console_main())


def scanner() -> None:
    """Serve the built-in Anchore-compatible scanner."""
    raise typer.Exit(scanner_main())
