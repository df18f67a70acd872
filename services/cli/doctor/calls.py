"""How our webhooks are called: whom, what for, in which form, and how long the answer may take."""

from collections.abc import Iterator, Sequence

from services.cli.doctor.admission import Hook
from services.cli.doctor.mending import AGAIN, PART, shown
from services.cli.doctor.remarks import Remark, bad, warn

SHORTEST = 3
"""Seconds below which an answer that waits for a scan has no time."""

LONGEST = 10
"""Seconds above which a webhook that hangs holds everything up."""

JUDGES = "/validate"
PINS = "/mutate"
"""What a webhook must ask for: the other one refuses nothing, or changes nothing."""


def judging_remarks(hook: Hook) -> Iterator[Remark]:
    """About one that judges."""
    yield from path_remarks(hook, JUDGES, "it lets everything in")
    if hook.object_selector.match_labels or hook.object_selector.match_expressions:
        yield bad(
            PART,
            f"{hook.name} has an objectSelector: whoever writes a pod chooses by its labels "
            "whether it is judged",
            "remove the objectSelector",
        )
    if hook.match_policy != "Equivalent":
        yield bad(
            PART,
            f"{hook.name} has matchPolicy {hook.match_policy}: what comes by another version of "
            "the API is not judged",
            "set matchPolicy to Equivalent",
        )
    if hook.side_effects not in ("None", "NoneOnDryRun"):
        yield bad(
            PART,
            f"{hook.name} says sideEffects {hook.side_effects or 'nothing'}: dry runs are refused",
            "set sideEffects to NoneOnDryRun",
        )
    if not SHORTEST <= hook.timeout_seconds <= LONGEST:
        yield warn(
            PART,
            f"{hook.name} gives an answer {hook.timeout_seconds} s",
            f"set timeoutSeconds between {SHORTEST} and {LONGEST}, and IMAGEGATE_BUDGET half a "
            "second below",
        )


def path_remarks(hook: Hook, wanted: str, otherwise: str) -> Iterator[Remark]:
    """A URL may have something before it, where a proxy stands."""
    path = hook.client_config.path
    if path != wanted and (hook.client_config.service or not path.endswith(wanted)):
        yield bad(
            PART,
            f"{hook.name} asks {path or 'no path'} and not {wanted}: {otherwise}",
            f"set the path of its clientConfig to {wanted}",
        )


def address_remarks(hooks: Sequence[Hook]) -> Iterator[Remark]:
    """The pod on trial shows whom one of them asks; that must be true of all."""
    where = sorted({hook.client_config.where for hook in hooks})
    if len(where) > 1:
        yield bad(
            PART,
            f"our webhooks ask different servers ({shown(where)}): what is not imagegate may let "
            "everything in",
            AGAIN,
        )
