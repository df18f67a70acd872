"""`imagegate webhook`, `worker`, `intake`, `console`, `scanner`: each told by its environment.

Each imports its own service alone: the others would be a third of what a process takes to start.
"""

from importlib import import_module

import typer


def webhook() -> None:
    """Answer the API server's reviews (REDIS_URL, AMQP_URL)."""
    raise typer.Exit(_ended("webhook"))


def worker() -> None:
    """Take steps from the queue (REDIS_URL, AMQP_URL, ANCHORE_URL)."""
    raise typer.Exit(_ended("worker"))


def intake() -> None:
    """Take push events from registries and pipelines (REDIS_URL, AMQP_URL)."""
    raise typer.Exit(_ended("intake"))


def console() -> None:
    """Show queue, decisions and verdicts to people: an API and a page (REDIS_URL, AMQP_URL)."""
    raise typer.Exit(_ended("console"))


def scanner() -> None:
    """Serve the built-in Anchore-compatible scanner."""
    raise typer.Exit(_ended("scanner"))


def _ended(service: str) -> int:
    """The service's exit code."""
    code: int = import_module(f"services.{service}.__main__").main()
    return code
