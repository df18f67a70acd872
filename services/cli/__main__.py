"""The `imagegate` command: one Typer application, each subcommand in a module of its own."""

import typer

from services.cli.deferred import group_of

COMMANDS = {
    "up": "services.cli.up:up",
    "show-real": "services.cli.show.real:show_real",
    "webhook": "services.cli.processes:webhook",
    "worker": "services.cli.processes:worker",
    "intake": "services.cli.processes:intake",
    "console": "services.cli.processes:console",
    "scanner": "services.cli.processes:scanner",
    "review": "services.cli.review:review",
    "scan": "services.cli.scan:scan",
    "prewarm": "services.cli.prewarm.commands:prewarm",
    "explain": "services.cli.explain.commands:explain",
    "queue": "services.cli.looks:queue",
    "verdicts": "services.cli.looks:verdicts",
    "decisions": "services.cli.looks:decisions",
    "status": "services.cli.looks:status",
    "doctor": "services.cli.doctor.commands:doctor",
    "allow": "services.cli.break_glass.commands:allow",
    "version": "services.cli.installed:version",
    "exceptions": "services.cli.break_glass.commands:app",
    "emergency": "services.cli.emergency.commands:app",
    "dead": "services.cli.dead:app",
    "feeds": "services.cli.feeds.commands:app",
    "keys": "services.cli.keys:app",
    "policies": "services.cli.policies.commands:app",
    "registries": "services.cli.registries.commands:app",
    "rules": "services.cli.rules.commands:app",
    "webhooks": "services.cli.webhooks.commands:app",
}
"""What `imagegate --help` lists, in its order."""

app = typer.Typer(
    cls=group_of(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def imagegate() -> None:
    """Decide which container images may run."""


def main() -> None:
    """Run the command line; the console script `imagegate` calls this."""
    app()


if __name__ == "__main__":
    main()
