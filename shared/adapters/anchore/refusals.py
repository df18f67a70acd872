"""Anchore's refusals told apart: which are the image's, which ours, which pass by themselves."""

from collections.abc import Callable

from shared.adapters.anchore.answers import Answer, complaint_of
from shared.adapters.anchore.calls import Call
from shared.adapters.anchore.faults import Fault, fault_of
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.verdict import Question, Subject

NEEDS_FORCE = "cannot specify dockerfile for an image that already exists"
NOTHING_TO_FORCE = "image digest must already exist to force"

MAX_SAID = 400
"""Room for why a bundle was not accepted, within a verdict's message."""


class WrongApi(TransientFailure):
    """The server's router has no such path: it speaks another version of the API by now, or
    something in front of it does not hand the path on."""


class Refusals:
    """Turns an answer that is not what was asked for into the failure it stands for."""

    def __init__(self, transport: AnchoreTransport) -> None:
        self._clean = transport.clean
        self._fault = transport.fault

    def of_call(self, call: Call, answer: Answer) -> StepFailure:
        """What any call may be answered with.

        401 and 403 are permanent, though somebody may set them right: the error verdict says at
        once what is wrong, lives a minute and replaces no pass or fail, while ten minutes of
        retries would show people nothing but "pending" and end in the dead letters.
        """
        fault = fault_of(answer)
        self._fault(call, fault, answer)
        said = self._clean(complaint_of(answer), limit=MAX_SAID)
        explain = _EXPLAINED.get(fault)
        if explain is not None:
            return explain(call, said)
        if fault is Fault.UNREADABLE:
            return TransientFailure(f"Anchore's answer to {call.operation} is not of its API")
        return PermanentFailure(
            f"Anchore refuses {call.operation} ({answer.status}): {said}", kind=ErrorKind.REFUSED
        )

    def of_submit(self, call: Call, answer: Answer, subject: Subject) -> StepFailure:
        """Why an image was not taken: mostly what its registry said to Anchore."""
        complaint = complaint_of(answer)
        if answer.status != 400 or not complaint.codes:
            return self.of_call(call, answer)
        fault = fault_of(answer, complaint)
        self._fault(call, fault, answer)
        said, image = self._clean(complaint), f"{subject.repository}@{subject.digest}"
        match fault:
            case Fault.REGISTRY_HAS_NONE:
                return PermanentFailure(
                    f"Anchore found no {image} in its registry: {said}", kind=ErrorKind.NOT_FOUND
                )
            case Fault.REGISTRY_DENIED:
                return PermanentFailure(
                    f"The registry refuses Anchore {image}: {said}. Add the registry's "
                    "credentials to Anchore",
                    kind=ErrorKind.UNAUTHORISED,
                )
            case Fault.PLATFORM:
                return PermanentFailure(
                    f"Anchore cannot analyse the platform of {image}: {said}",
                    kind=ErrorKind.REFUSED,
                )
        code = self._clean(complaint.codes[0])
        return TransientFailure(f"Anchore cannot read {image} ({code}): {said}")

    def of_check(self, call: Call, answer: Answer, question: Question) -> StepFailure:
        """Why nothing was evaluated."""
        complaint = complaint_of(answer)
        fault = fault_of(answer, complaint)
        if answer.status != 404 or fault in _EXPLAINED:
            return self.of_call(call, answer)
        self._fault(call, fault, answer)
        said = self._clean(complaint)
        account = question.account or "of our credentials"
        if fault is Fault.POLICY_UNKNOWN:
            return _misconfigured(
                f"Anchore has no policy {question.policy} in the account {account}: push it "
                "there, or correct the policy's id in the rules"
            )
        if fault is Fault.NO_ACTIVE_POLICY:
            return _misconfigured(
                f"No policy is active in Anchore's account {account}: activate one ({said})"
            )
        # Not analysed (any more), unknown (any more), the policy engine down, and what we do not
        # know: the next attempt reads the image's state first.
        return TransientFailure(f"Anchore could not evaluate: {said}")


def _credentials(call: Call, _: str) -> StepFailure:
    return _misconfigured(
        f"Anchore refuses our credentials ({call.operation}{_whose(call)}): check ANCHORE_USER "
        "and ANCHORE_PASSWORD, or the token or API key that is set instead"
    )


def _rights(call: Call, said: str) -> StepFailure:
    return _misconfigured(
        f"Anchore does not let our user do {call.operation}{_whose(call)}: {said}. Give ANCHORE_"
        "USER the rights, or correct the account in the rules"
    )


def _account_unknown(call: Call, said: str) -> StepFailure:
    if not call.account:
        return _misconfigured(f"Anchore does not know the account of our credentials: {said}")
    return _misconfigured(f"Anchore has no account {call.account}: correct it in the rules")


def _wrong_api(call: Call, said: str) -> StepFailure:
    return WrongApi(
        f"There is no Anchore API of this version behind ANCHORE_URL ({call.method} {call.path}): "
        f"{said}. See whether ANCHORE_URL and ANCHORE_API are right"
    )


def _no_api(call: Call, said: str) -> StepFailure:
    # A proxy whose back end is being replaced answers so for a while.
    return TransientFailure(
        f"There is no Anchore API behind ANCHORE_URL ({call.operation}): {said}"
    )


def _proxy(call: Call, said: str) -> StepFailure:
    return _misconfigured(
        f"The proxy on the way to Anchore wants a login ({call.operation}): {said}. Set "
        "ANCHORE_PROXY with one"
    )


_EXPLAINED: dict[Fault, Callable[[Call, str], StepFailure]] = {
    Fault.CREDENTIALS: _credentials,
    Fault.RIGHTS: _rights,
    Fault.ACCOUNT_UNKNOWN: _account_unknown,
    Fault.WRONG_API: _wrong_api,
    Fault.NO_API: _no_api,
    Fault.PROXY: _proxy,
}


def _whose(call: Call) -> str:
    return f" in the account {call.account}" if call.account else ""


def _misconfigured(text: str) -> PermanentFailure:
    return PermanentFailure(text, kind=ErrorKind.MISCONFIGURED)
