"""Engine's refusals told apart: which are the image's, which are ours, which pass by themselves.

Its status codes do not follow REST (docs/design/anchore-engine.md 2, 3, 5): trouble with a
registry is always 400 and told apart by error codes, every reason not to evaluate is 404 and
told apart by its text.
"""

from shared.adapters.anchore.answers import Answer, complaint_of
from shared.adapters.anchore.calls import Call
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.verdict import Question, Subject

NEEDS_FORCE = "cannot specify dockerfile for an image that already exists"
NOTHING_TO_FORCE = "image digest must already exist to force"

MAX_SAID = 400
"""Room for why a bundle was not accepted, within a verdict's message."""

_NO_SUCH_POLICY = "not found in db"
_POLICY = "policy bundle"


class Refusals:
    """Turns an answer that is not what was asked for into the failure it stands for."""

    def __init__(self, transport: AnchoreTransport) -> None:
        self._clean = transport.clean

    def of_call(self, call: Call, answer: Answer) -> StepFailure:
        """What any call may be answered with.

        401 and 403 are permanent, though somebody may set them right: the error verdict says at
        once what is wrong, lives a minute and replaces no pass or fail, while ten minutes of
        retries would show people nothing but "pending" and end in the dead letters.
        """
        complaint = complaint_of(answer)
        said = self._clean(complaint, limit=MAX_SAID)
        whose = f" in the account {call.account}" if call.account else ""
        if answer.status == 401:
            return _refused(
                f"Anchore refuses our credentials ({call.operation}{whose}): check ANCHORE_USER "
                "and ANCHORE_PASSWORD"
            )
        if answer.status == 403:
            return _refused(
                f"Anchore does not let our user do {call.operation}{whose}: {said}. Give ANCHORE_"
                "USER the rights, or correct the account in the rules"
            )
        if answer.status == 404 and not complaint.by_engine:
            # A proxy whose back end is being replaced answers so for a while.
            return TransientFailure(
                f"There is no Anchore Engine API behind ANCHORE_URL ({call.operation}): {said}"
            )
        if 200 <= answer.status < 300:
            return TransientFailure(f"Anchore's answer to {call.operation} is not of its API")
        return _refused(f"Anchore refuses {call.operation} ({answer.status}): {said}")

    def of_submit(self, call: Call, answer: Answer, subject: Subject) -> StepFailure:
        """Why an image was not taken: mostly what its registry said to Anchore."""
        complaint = complaint_of(answer)
        if answer.status != 400 or not complaint.codes:
            return self.of_call(call, answer)
        code, said = complaint.codes[0], self._clean(complaint)
        image = f"{subject.repository}@{subject.digest}"
        match code:
            case "REGISTRY_IMAGE_NOT_FOUND":
                return PermanentFailure(
                    f"Anchore found no {image} in its registry: {said}", kind=ErrorKind.NOT_FOUND
                )
            case "REGISTRY_PERMISSION_DENIED":
                return PermanentFailure(
                    f"The registry refuses Anchore {image}: {said}. Add the registry's "
                    "credentials to Anchore",
                    kind=ErrorKind.UNAUTHORISED,
                )
            case "OSARCH_MISMATCH":
                return _refused(f"Anchore cannot analyse the platform of {image}: {said}")
        # REGISTRY_NOT_ACCESSIBLE, REGISTRY_NOT_SUPPORTED, SKOPEO_UNKNOWN_ERROR, UNKNOWN: a host
        # that is down or not resolved looks the same as one that does not exist.
        return TransientFailure(f"Anchore cannot read {image} ({self._clean(code)}): {said}")

    def of_check(self, call: Call, answer: Answer, question: Question) -> StepFailure:
        """Why nothing was evaluated."""
        complaint = complaint_of(answer)
        if answer.status != 404 or not complaint.by_engine:
            return self.of_call(call, answer)
        said, words = self._clean(complaint), complaint.message.lower()
        account = question.account or "of our credentials"
        if _POLICY in words and _NO_SUCH_POLICY in words:
            return _refused(
                f"Anchore has no policy {question.policy} in the account {account}: push it "
                "there, or correct the policy's id in the rules"
            )
        if "no active policy" in words:
            return _refused(
                f"No policy is active in Anchore's account {account}: activate one ({said})"
            )
        # Not analysed (any more), unknown (any more), the policy engine down, and what we do not
        # know: the next attempt reads the image's state first.
        return TransientFailure(f"Anchore could not evaluate: {said}")


def _refused(text: str) -> PermanentFailure:
    return PermanentFailure(text, kind=ErrorKind.REFUSED)
