"""The policies of an Anchore server, over either API (docs/design/anchore-engine.md 7,
docs/design/anchore-v2.md 4)."""

from typing import Any
from urllib.parse import quote

import msgspec

from shared.adapters.anchore.answers import Answer, complaint_of
from shared.adapters.anchore.calls import Call
from shared.adapters.anchore.faults import Fault, fault_of
from shared.adapters.anchore.refusals import Refusals
from shared.adapters.anchore.tenancy import askable, check_known, check_owner
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.errors import ErrorKind, InvalidPolicy, PermanentFailure, TransientFailure
from shared.domain.policy import Bundle, Policy, says_all_of
from shared.domain.policy_forms import Form, form_of

Record = dict[str, Any]


class PolicyDialect(msgspec.Struct, frozen=True):
    """What one API calls things."""

    form: Form
    path: str
    """Of the list; a policy's own is below it."""
    id_key: str
    document_key: str
    account_key: str
    sent_back: tuple[str, ...] = ()
    """What PUT wants of the record besides."""


class AnchorePolicies:
    """`shared.ports.policies.Policies` over one API.

    An existing policy is only ever changed by PUT: a POST of the id that is active leaves Engine's
    account without an active policy, and every check is refused until somebody activates one.
    Answers about one policy are lists of one in v1 and objects in v2: either is taken.
    """

    def __init__(self, *, transport: AnchoreTransport, dialect: PolicyDialect) -> None:
        self._transport = transport
        self._dialect = dialect
        self._refusals = Refusals(transport)

    async def form(self) -> Form:
        """The form that documents have in this API."""
        return self._dialect.form

    async def all(self, *, account: str = "") -> tuple[Policy, ...]:
        """All policies, without their documents."""
        call = self._call("policies", "GET", account)
        return tuple(self._policy(record) for record in await self._list(call))

    async def get(self, policy_id: str, *, account: str = "") -> Policy | None:
        """One policy with its document."""
        call = self._call("policy_get", "GET", account, policy_id, query={"detail": "true"})
        answer = await self._transport.call(call)
        if _unknown(answer):
            return None
        return self._policy(self._one(call, answer, policy_id))

    async def push(self, bundle: Bundle, *, account: str = "", activate: bool = True) -> Policy:
        """Store it; what is active stays active."""
        policy_id = bundle.get("id")
        if not isinstance(policy_id, str) or not policy_id:
            raise _refused("the policy has no id: give it one")
        self._check_form(bundle)
        before = await self._records(policy_id, account)
        known = self._named(before, policy_id)
        if known is None:
            known = await self._add(policy_id, bundle, account)
            if activate:
                await self._put(known, bundle, account, active=True)
        else:
            activate = known["active"] or activate
            await self._put(known, bundle, account, active=activate)
        if not activate and _any_active(before):
            await self._keep_one_active(known, bundle, account)
        return await self._stored(policy_id, bundle, account)

    def _check_form(self, bundle: Bundle) -> None:
        """A server that was exchanged since the form was asked for may take the other one, drop
        all of it that it does not know, and judge by the rest."""
        try:
            form = form_of(bundle)
        except InvalidPolicy as error:
            raise _refused(str(error)) from error
        if form is not self._dialect.form:
            raise _refused(
                f"Anchore takes policies of the {self._dialect.form} form, and this one has the "
                f"{form} form: push it again, so that it is converted"
            )

    async def activate(self, policy_id: str, *, account: str = "") -> Policy:
        """Make it the active one, as it is."""
        known = self._named(await self._records(policy_id, account), policy_id)
        whole = await self.get(policy_id, account=account) if known is not None else None
        if known is None or whole is None:
            where = f" in the account {account}" if account else ""
            raise _refused(f"Anchore has no policy {policy_id} to activate{where}: push it first")
        await self._put(known, whole.bundle, account, active=True)
        return await self._stored(policy_id, whole.bundle, account)

    async def _keep_one_active(self, known: Record, bundle: Bundle, account: str) -> None:
        """Somebody who made the policy the active one since we looked has that undone by our
        writing it as an inactive one: done again."""
        if not _any_active(await self._list(self._call("policies", "GET", account))):
            await self._put(known, bundle, account, active=True)

    async def _records(self, policy_id: str, account: str) -> list[Record]:
        """All of the account, whose list alone proves whose policies we are about to change."""
        _own_path(policy_id)
        return await self._list(self._call("policies", "GET", account))

    def _named(self, records: list[Record], policy_id: str) -> Record | None:
        return next((one for one in records if one[self._dialect.id_key] == policy_id), None)

    async def _stored(self, policy_id: str, bundle: Bundle, account: str) -> Policy:
        """What is there now: answers to POST and PUT hold more than was stored."""
        stored = await self.get(policy_id, account=account)
        if stored is None or not says_all_of(stored.bundle, bundle):
            raise TransientFailure(
                f"Anchore took the policy {policy_id} but has another now: did somebody else "
                "change it? Look at it and push it again"
            )
        return stored

    async def _add(self, policy_id: str, bundle: Bundle, account: str) -> Record:
        call = self._call("policy_add", "POST", account, body=bundle)
        call = msgspec.structs.replace(call, repeatable=False)
        answer = await self._transport.call(call)
        if answer.status == 409:
            raise TransientFailure(
                f"somebody else added a policy {policy_id} to Anchore this very moment: look at it "
                "and push again"
            )
        return self._one(call, answer, policy_id)

    async def _put(self, known: Record, bundle: Bundle, account: str, *, active: bool) -> None:
        dialect, policy_id = self._dialect, known[self._dialect.id_key]
        record = {
            **{key: known[key] for key in dialect.sent_back if key in known},
            "name": bundle.get("name") or policy_id,
            dialect.id_key: policy_id,
            dialect.document_key: bundle,
            "active": active,
        }
        query = {"active": "true"} if active else {}
        call = self._call("policy_put", "PUT", account, policy_id, query=query, body=record)
        stored = self._one(call, await self._transport.call(call), policy_id)
        if stored["active"] != active:
            raise TransientFailure(
                f"Anchore stored the policy {policy_id} and says active is {stored['active']}, "
                f"although {active} was asked for: look at its policies and try again"
            )

    def _call(
        self,
        operation: str,
        method: str,
        account: str,
        policy_id: str | None = None,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
    ) -> Call:
        below = "" if policy_id is None else f"/{_own_path(policy_id)}"
        return Call(
            operation=operation,
            method=method,
            path=f"{self._dialect.path}{below}",
            query=query or {},
            body=body,
            account=askable(account),
        )

    async def _list(self, call: Call) -> list[Record]:
        answer = await self._transport.call(call)
        if answer.status != 200 or not isinstance(answer.body, list):
            raise self._refusals.of_call(call, answer)
        # An account has a policy from its beginning, and the active one cannot be deleted.
        check_known(call, answer.body)
        return [self._record(call, one) for one in answer.body]

    def _one(self, call: Call, answer: Answer, policy_id: str) -> Record:
        """The one record of the answer."""
        if answer.status != 200 or not isinstance(answer.body, list | dict):
            raise self._refusals.of_call(call, answer)
        found = answer.body if isinstance(answer.body, list) else [answer.body]
        check_known(call, found)
        records = [self._record(call, one) for one in found]
        if [record[self._dialect.id_key] for record in records] != [policy_id]:
            raise TransientFailure(
                f"Anchore's answer to {call.operation} is not about the policy {policy_id}"
            )
        return records[0]

    def _record(self, call: Call, record: Any) -> Record:
        """With an id and a word about whether it is active, and of the account that was meant."""
        fields: Record = record if isinstance(record, dict) else {}
        if not isinstance(fields.get(self._dialect.id_key), str) or not isinstance(
            fields.get("active"), bool
        ):
            raise TransientFailure(f"Anchore's answer to {call.operation} holds no policy record")
        check_owner(call, fields.get(self._dialect.account_key))
        return fields

    def _policy(self, record: Record) -> Policy:
        document = record.get(self._dialect.document_key)
        return Policy(
            id=record[self._dialect.id_key],
            name=self._transport.clean(record.get("name") or ""),
            active=record["active"],
            changed=self._transport.clean(record.get("last_updated") or ""),
            bundle=document if isinstance(document, dict) else {},
        )


def _own_path(policy_id: str) -> str:
    """Raises PermanentFailure (refused) for an id that no path can hold: another would be asked."""
    if not policy_id or policy_id in (".", "..") or "/" in policy_id:
        raise _refused(
            f"the policy's id {policy_id[:60]!r} cannot stand in a path of Anchore's API: give it "
            "one without a slash"
        )
    return quote(policy_id, safe="")


def _any_active(records: list[Record]) -> bool:
    return any(record["active"] for record in records)


def _unknown(answer: Answer) -> bool:
    """Whether Anchore itself says that the account has no such policy."""
    complaint = complaint_of(answer)
    return (
        answer.status == 404
        and complaint.by_anchore
        and fault_of(answer, complaint) is not Fault.ACCOUNT_UNKNOWN
    )


def _refused(text: str) -> PermanentFailure:
    return PermanentFailure(text, kind=ErrorKind.REFUSED)
