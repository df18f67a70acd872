"""The composition root of `imagegate scan --local`: the built-in scanner in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import msgspec

from services.cli.reports.local import LocalScan
from services.cli.reports.settings import LocalSettings
from services.scanner.settings import ScannerSettings
from services.scanner.wiring import DEFAULT_BUNDLE, run_scanner
from shared.adapters.anchore.policies import AnchorePolicies
from shared.adapters.anchore.reports import REPORT_LIMITS, AnchoreReports
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.anchore.v1_policies import V1_POLICIES
from shared.adapters.anchore.v1_reports import V1_REPORTS
from shared.adapters.registry.client import RegistryClient
from shared.adapters.rules_file.loading import load_rules
from shared.domain.errors import ErrorKind, InvalidSettings, PermanentFailure
from shared.domain.policy import Bundle
from shared.domain.reference import parse_reference
from shared.domain.rules import Rules
from shared.runtime.clock import SystemClock
from shared.runtime.folder_lock import FolderLock
from shared.runtime.settings import Secret, environ_of_others
from shared.runtime.state import ensure_private_folder

LOOK_AGAIN = 0.2


def default_bundle() -> Bundle:
    """The policy that comes with the built-in scanner."""
    return msgspec.json.decode(DEFAULT_BUNDLE.read_bytes(), type=Bundle)


@asynccontextmanager
async def local_scan(
    settings: LocalSettings,
    scanner: ScannerSettings,
    *,
    image: str,
    insecure: bool,
    timeout: float,
    tell: Callable[[str], None],
) -> AsyncIterator[LocalScan]:
    """A scanner on a free loopback port until the block ends. Raises InvalidSettings, InvalidRules,
    and PermanentFailure where another scan does not end in `timeout` seconds."""
    rules = rules_for(image, scanner.imagegate_rules, login=settings.docker_login, plain=insecure)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        folder = ensure_private_folder(settings.scan_folder)
        await stack.enter_async_context(_alone(folder, timeout=timeout, tell=tell))
        registry = await stack.enter_async_context(
            RegistryClient(rules=lambda: rules, clock=clock, helper_environ=environ_of_others())
        )
        tell("starting the scanner")
        running = await stack.enter_async_context(
            run_scanner(_own(scanner, folder), registry=registry, clock=clock)
        )
        transport = await stack.enter_async_context(
            AnchoreTransport(url=running.url, limits=REPORT_LIMITS)
        )
        yield LocalScan(
            resolver=registry,
            scanner=AnchoreV1(transport=transport, clock=clock),
            policies=AnchorePolicies(transport=transport, dialect=V1_POLICIES),
            reports=AnchoreReports(transport=transport, dialect=V1_REPORTS),
            clock=clock,
        )


def rules_for(image: str, file: Path | None, *, login: Path | None, plain: bool) -> Rules:
    """The rules' way to the image's registry, with the login of `docker login` where they name
    none. Raises InvalidRules."""
    rules = load_rules(file) if file else Rules()
    reference = parse_reference(image)
    entry = rules.registry_for(reference)
    named = entry.credentials or entry.user_file or entry.password_file or entry.helper
    changed = msgspec.structs.replace(
        entry,
        credentials=str(login) if login and not named else entry.credentials,
        insecure=plain or entry.insecure,
    )
    others = tuple(one for one in rules.registries if one is not entry)
    return msgspec.structs.replace(rules, registries=(*others, changed))


def _own(settings: ScannerSettings, folder: Path) -> ScannerSettings:
    """As the environment tells a scanner, with the vulnerability data of the scanner that has this
    state folder; but reached by nobody else, for one image, telling nobody of it, and fetching no
    newer data."""
    return msgspec.structs.replace(
        settings,
        imagegate_state=folder,
        imagegate_scanner_feed=settings.feeds,
        imagegate_scanner_grype_cache=settings.grype_cache,
        imagegate_scanner_host="127.0.0.1",
        imagegate_scanner_port=0,
        imagegate_scanner_user="",
        imagegate_scanner_password=Secret(""),
        imagegate_scanner_notify_url="",
        imagegate_scanner_sync=(),
        imagegate_scanner_grype_update_hours=0.0,
    )


@asynccontextmanager
async def _alone(
    folder: Path, *, timeout: float, tell: Callable[[str], None]
) -> AsyncIterator[None]:
    """Of several scans in one folder one at a time, the others wait."""
    try:
        lock = FolderLock(folder)
    except OSError as error:
        raise InvalidSettings(
            f"the state folder {folder} cannot be used: {error.strerror}; set IMAGEGATE_STATE to "
            "one that this user may write"
        ) from error
    with closing(lock):
        deadline = asyncio.get_running_loop().time() + timeout
        while not lock.take():
            tell("waiting for another scan in this state folder")
            if asyncio.get_running_loop().time() > deadline:
                raise PermanentFailure(
                    f"another scan has the state folder {folder} for {timeout:g} s: stop it, or "
                    "set IMAGEGATE_STATE to another folder",
                    kind=ErrorKind.TRANSIENT,
                )
            await asyncio.sleep(LOOK_AGAIN)
        yield
