"""Policies, registries and reports over whichever API the server speaks."""

from shared.adapters.anchore.detect import Detection, Spoken
from shared.adapters.anchore.policies import AnchorePolicies
from shared.adapters.anchore.registries import AnchoreRegistries
from shared.adapters.anchore.reports import AnchoreReports
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_policies import V1_POLICIES
from shared.adapters.anchore.v1_registries import V1_REGISTRIES
from shared.adapters.anchore.v1_reports import V1_REPORTS
from shared.adapters.anchore.v2_policies import V2_POLICIES
from shared.adapters.anchore.v2_registries import V2_REGISTRIES
from shared.adapters.anchore.v2_reports import V2_REPORTS
from shared.domain.image_report import DataGroup, ImageAbout, ImagePackage, Vulnerabilities
from shared.domain.policy import Bundle, Policy
from shared.domain.policy_forms import Form
from shared.domain.registry_access import RegistryAccess
from shared.ports.policies import Policies
from shared.ports.registries import KnownRegistry, Registries
from shared.ports.reports import ImageReports


class PoliciesOfEither:
    """`shared.ports.policies.Policies`."""

    def __init__(self, *, detection: Detection, transport: AnchoreTransport) -> None:
        self._spoken: Spoken[Policies] = Spoken(
            detection=detection,
            v1=AnchorePolicies(transport=transport, dialect=V1_POLICIES),
            v2=AnchorePolicies(transport=transport, dialect=V2_POLICIES),
        )

    async def form(self) -> Form:
        """Of the API that is spoken."""
        return await self._spoken.ask(lambda policies: policies.form())

    async def all(self, *, account: str = "") -> tuple[Policy, ...]:
        """As the API that is spoken has it."""
        return await self._spoken.ask(lambda policies: policies.all(account=account))

    async def get(self, policy_id: str, *, account: str = "") -> Policy | None:
        """As the API that is spoken has it."""
        return await self._spoken.ask(lambda policies: policies.get(policy_id, account=account))

    async def push(self, bundle: Bundle, *, account: str = "", activate: bool = True) -> Policy:
        """As the API that is spoken has it."""
        return await self._spoken.ask(
            lambda policies: policies.push(bundle, account=account, activate=activate)
        )

    async def activate(self, policy_id: str, *, account: str = "") -> Policy:
        """As the API that is spoken has it."""
        return await self._spoken.ask(
            lambda policies: policies.activate(policy_id, account=account)
        )


class RegistriesOfEither:
    """`shared.ports.registries.Registries`."""

    def __init__(self, *, detection: Detection, transport: AnchoreTransport) -> None:
        self._spoken: Spoken[Registries] = Spoken(
            detection=detection,
            v1=AnchoreRegistries(transport=transport, dialect=V1_REGISTRIES),
            v2=AnchoreRegistries(transport=transport, dialect=V2_REGISTRIES),
        )

    async def all(self, *, account: str = "") -> tuple[KnownRegistry, ...]:
        """As the API that is spoken has it."""
        return await self._spoken.ask(lambda registries: registries.all(account=account))

    async def add(self, access: RegistryAccess, *, account: str = "") -> None:
        """As the API that is spoken has it."""
        await self._spoken.ask(lambda registries: registries.add(access, account=account))

    async def update(self, access: RegistryAccess, *, name: str = "", account: str = "") -> None:
        """As the API that is spoken has it."""
        await self._spoken.ask(
            lambda registries: registries.update(access, name=name, account=account)
        )


class ReportsOfEither:
    """`shared.ports.reports.ImageReports`."""

    def __init__(self, *, detection: Detection, transport: AnchoreTransport) -> None:
        self._spoken: Spoken[ImageReports] = Spoken(
            detection=detection,
            v1=AnchoreReports(transport=transport, dialect=V1_REPORTS),
            v2=AnchoreReports(transport=transport, dialect=V2_REPORTS),
        )

    async def about(self, digest: str, *, account: str = "") -> ImageAbout:
        """As the API that is spoken has it."""
        return await self._spoken.ask(lambda reports: reports.about(digest, account=account))

    async def packages(self, digest: str, *, account: str = "") -> tuple[ImagePackage, ...]:
        """As the API that is spoken has it."""
        return await self._spoken.ask(lambda reports: reports.packages(digest, account=account))

    async def vulnerabilities(self, digest: str, *, account: str = "") -> Vulnerabilities:
        """As the API that is spoken has it."""
        return await self._spoken.ask(
            lambda reports: reports.vulnerabilities(digest, account=account)
        )

    async def data(self) -> tuple[DataGroup, ...]:
        """As the API that is spoken has it."""
        return await self._spoken.ask(lambda reports: reports.data())
