"""The registries of an Anchore server, over either API (docs/design/anchore-engine.md 3,
docs/design/anchore-v2.md 7)."""

from typing import Any
from urllib.parse import quote

import msgspec

from shared.adapters.anchore.answers import Answer, complaint_of
from shared.adapters.anchore.calls import Call
from shared.adapters.anchore.faults import Fault, fault_of
from shared.adapters.anchore.refusals import MAX_SAID, Refusals
from shared.adapters.anchore.tenancy import askable, check_known, check_owner
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.registry_access import RegistryAccess
from shared.ports.registries import DOCKER_V2, KnownRegistry


class RegistryDialect(msgspec.Struct, frozen=True):
    """What one API calls things."""

    path: str
    policies: str
    """A list that no account has empty."""
    account_key: str


class AnchoreRegistries:
    """`shared.ports.registries.Registries` over one API."""

    def __init__(self, *, transport: AnchoreTransport, dialect: RegistryDialect) -> None:
        self._transport = transport
        self._dialect = dialect
        self._refusals = Refusals(transport)

    async def all(self, *, account: str = "") -> tuple[KnownRegistry, ...]:
        """What Anchore has. An empty list may be Engine's answer for an account that it does not
        know: the policies tell."""
        call = self._call("registries", "GET", account)
        records = await self._list(call)
        if account and not records:
            proof = Call(
                operation="policies", method="GET", path=self._dialect.policies, account=account
            )
            check_known(proof, await self._list(proof))
        return tuple(self._known(call, record) for record in records)

    async def add(self, access: RegistryAccess, *, account: str = "") -> None:
        """Add it. Not repeated: Engine calls the second a failure of its own (500)."""
        call = self._call("registry_add", "POST", account, access=access)
        await self._send(msgspec.structs.replace(call, repeatable=False), access)

    async def update(self, access: RegistryAccess, *, name: str = "", account: str = "") -> None:
        """Replace it."""
        await self._send(
            self._call("registry_put", "PUT", account, access=access, name=name), access
        )

    async def _send(self, call: Call, access: RegistryAccess) -> None:
        self._transport.hide(access.password)
        answer = await self._transport.call(call)
        if answer.status != 200:
            raise self._refusal(call, answer, access)
        stored = [self._known(call, one) for one in _listed(answer.body)]
        if [one.registry for one in stored] != [access.registry]:
            raise TransientFailure(
                f"Anchore's answer to {call.operation} is not about the registry {access.registry}"
            )

    def _refusal(self, call: Call, answer: Answer, access: RegistryAccess) -> StepFailure:
        """406, and by description 400 in v2, where Anchore could not log in."""
        said = complaint_of(answer)
        fault = fault_of(answer, said)
        tried = fault is Fault.LOGIN_REFUSED or (answer.status == 400 and "ping" in said.message)
        if not tried:
            return self._refusals.of_call(call, answer)
        self._transport.fault(call, Fault.LOGIN_REFUSED, answer)
        return PermanentFailure(
            f"Anchore could not log in to {access.registry} as {access.user}: "
            f"{self._transport.clean(said, limit=MAX_SAID)}. Correct the login that the rules "
            "name, or let Anchore reach the registry",
            kind=ErrorKind.UNAUTHORISED,
        )

    def _call(
        self,
        operation: str,
        method: str,
        account: str,
        *,
        access: RegistryAccess | None = None,
        name: str = "",
    ) -> Call:
        below = f"/{quote(access.registry, safe=':/*')}" if access and method == "PUT" else ""
        return Call(
            operation=operation,
            method=method,
            path=f"{self._dialect.path}{below}",
            query=_validation(access) if access else {},
            body=_body(access, name) if access else None,
            account=askable(account),
            # Anchore asks the registry before it answers.
            patient=access is not None,
        )

    async def _list(self, call: Call) -> list[Any]:
        answer = await self._transport.call(call)
        if answer.status != 200 or not isinstance(answer.body, list):
            raise self._refusals.of_call(call, answer)
        for record in answer.body:
            check_owner(call, record.get(self._dialect.account_key) if _is(record) else None)
        return answer.body

    def _known(self, call: Call, record: Any) -> KnownRegistry:
        registry = record.get("registry") if _is(record) else None
        if not isinstance(registry, str):
            raise TransientFailure(f"Anchore's answer to {call.operation} holds no registry")
        check_owner(call, record.get(self._dialect.account_key))
        return KnownRegistry(
            registry=registry,
            user=self._transport.clean(record.get("registry_user") or ""),
            name=str(record.get("registry_name") or ""),
            kind=str(record.get("registry_type") or DOCKER_V2),
            verify=record.get("registry_verify") is not False,
        )


def _validation(access: RegistryAccess) -> dict[str, str]:
    """Anchore tries a login over HTTPS at the host, so that it can try no other."""
    tried = access.verify and "/" not in access.registry
    return {} if tried else {"validate": "false"}


def _body(access: RegistryAccess, name: str) -> dict[str, object]:
    return {
        "registry": access.registry,
        "registry_name": name or access.registry,
        "registry_user": access.user,
        "registry_pass": access.password,
        "registry_type": DOCKER_V2,
        "registry_verify": access.verify,
    }


def _listed(body: Any) -> list[Any]:
    return body if isinstance(body, list) else [body]


def _is(record: Any) -> bool:
    return isinstance(record, dict)
