"""What the parts of `imagegate up` are told: the environment, and over it the command's options."""

from pathlib import Path

import msgspec

from services.cli.embedded.wiring import EmbeddedSettings
from services.console.settings import ConsoleSettings
from services.intake.settings import IntakeSettings
from services.scanner.settings import ScannerSettings
from services.webhook.settings import WebhookSettings
from services.worker.settings import WorkerSettings
from shared.runtime.settings import Secret, read_settings
from shared.runtime.state import ensure_private_folder, ensure_secret

EVENTS_TOKEN = "events.token"


class UpOptions(msgspec.Struct, frozen=True):
    """What `imagegate up` was told."""

    once: bool
    port: int
    health_port: int
    intake_port: int
    console_port: int
    state: Path | None


def settings_of(options: UpOptions, *, registry: str, scratch: Path) -> EmbeddedSettings:
    """From the environment, with what the options say; the scanner's results do not stay."""
    webhook = read_settings(WebhookSettings)
    state = options.state or webhook.state_folder
    worker_port = options.health_port + 1 if options.health_port else 0
    replaced = msgspec.structs.replace
    return EmbeddedSettings(
        webhook=replaced(
            webhook,
            imagegate_state=state,
            imagegate_port=options.port,
            imagegate_health_port=options.health_port,
        ),
        worker=replaced(
            read_settings(WorkerSettings),
            imagegate_state=state,
            imagegate_health_port=worker_port,
        ),
        scanner=replaced(
            read_settings(ScannerSettings), imagegate_state=scratch, imagegate_scanner_port=0
        ),
        intake=_intake(options, state),
        console=replaced(
            read_settings(ConsoleSettings),
            imagegate_state=state,
            imagegate_console_port=options.console_port,
        ),
        insecure_registry=registry,
    )


def _intake(options: UpOptions, state: Path) -> IntakeSettings:
    """With a token made in the state folder, unless the environment has one."""
    settings = read_settings(IntakeSettings)
    token = settings.imagegate_events_token
    if not token:
        token = Secret(ensure_secret(ensure_private_folder(state) / EVENTS_TOKEN))
    return msgspec.structs.replace(
        settings,
        imagegate_state=state,
        imagegate_intake_port=options.intake_port,
        imagegate_events_token=token,
    )
