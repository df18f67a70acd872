"""`evaluation_problems` of a check, in both dialects: what Anchore could not evaluate.

A problem of severity `warn` is not harmless by that: of Engine's own, TriggerNotAvailableError
says that a rule was not evaluated, and NoMatchedMappingWarning that none was (both read in its
source, `policy/exceptions.py`). Only DeprecationWarning says that the rule it is about still works:
were it an error, an upgrade of Anchore that deprecates a trigger would stop every image
(docs/adr/0019).
"""

from collections.abc import Iterator
from typing import Any

from shared.adapters.anchore.reading import name_of
from shared.adapters.anchore.wording import one_line
from shared.domain.verdict import MAX_MESSAGE, Action, Finding

STILL_WORKS = ("warn", "DeprecationWarning")
"""Severity and type of the one problem that leaves the evaluation whole."""


def read_problems(said: Any, problems: list[str]) -> Iterator[Finding]:
    """The warnings among what Anchore calls problems; the others are added to `problems`."""
    if not isinstance(said, list):
        problems.append("the answer does not say whether there were evaluation problems")
        return
    for problem in said:
        parts = problem if isinstance(problem, dict) else {}
        details = str(parts.get("details", problem))
        if (parts.get("severity"), parts.get("problem_type")) == STILL_WORKS:
            yield Finding(
                gate="policy",
                trigger="deprecated",
                trigger_id=name_of(details),
                action=Action.WARN,
                message=one_line(details, limit=MAX_MESSAGE),
            )
        else:
            problems.append(f"{parts.get('problem_type', 'problem')}: {details}")
