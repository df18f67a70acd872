"""Whether the conditions of our webhooks leave out nothing but what changes no image."""

from collections.abc import Iterator, Sequence

from services.cli.doctor.admission import Condition, Hook
from services.cli.doctor.mending import AGAIN, PART
from services.cli.doctor.remarks import Remark, bad, warn

AN_IMAGE_CHANGED = """
object.spec.containers.map(c, c.name + ' ' + c.?image.orValue(''))
  != oldObject.spec.containers.map(c, c.name + ' ' + c.?image.orValue(''))
|| object.spec.?initContainers.orValue([]).map(c, c.name + ' ' + c.?image.orValue(''))
  != oldObject.spec.?initContainers.orValue([]).map(c, c.name + ' ' + c.?image.orValue(''))
|| object.spec.?volumes.orValue([]).filter(v, has(v.image))
  .map(v, v.name + ' ' + v.image.?reference.orValue(''))
  != oldObject.spec.?volumes.orValue([]).filter(v, has(v.image))
  .map(v, v.name + ' ' + v.image.?reference.orValue(''))
"""
"""The one condition that is known to leave out nothing but what changes no image: the chart's."""


def condition_remarks(asked: Sequence[Hook], about: tuple[str, str], what: str) -> Iterator[Remark]:
    """Where a condition is false nobody is asked."""
    for hook in asked:
        if not hook.match_conditions:
            continue
        if about != ("UPDATE", "pods"):
            yield bad(
                PART,
                f"{hook.name} has matchConditions for {what}: where one is false the pod runs "
                "unjudged",
                "remove them; namespaces are exempted by the namespaceSelector",
            )
        elif not all(map(_is_known, hook.match_conditions)):
            yield warn(
                PART,
                f"{hook.name} has matchConditions that are not the chart's: where one is false "
                f"{what} run unjudged, and where one fails every change of a pod is refused",
                f"see that they are false only where no image changes, or {AGAIN}",
            )


def _is_known(condition: Condition) -> bool:
    return bare(condition.expression) == bare(AN_IMAGE_CHANGED)


def bare(expression: str) -> str:
    """Without what means nothing; nothing in ours means something by its spaces but `' '`."""
    return "".join(expression.replace("' '", "BLANK").split())
