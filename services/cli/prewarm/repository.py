"""Images of a registry's repository: its tags, by glob."""

from collections.abc import AsyncIterator, Sequence

from services.cli.prewarm.found import Found, NotRead, PassedOver, Told
from shared.domain.errors import ImagegateError, InvalidReference, StepFailure
from shared.domain.glob import Glob
from shared.domain.reference import ImageReference, parse_reference
from shared.ports.tags import TagList

SIGNATURES = (".sig", ".att", ".sbom")
"""How cosign's tags end, which hold no image (`sha256-<digest>.sig`)."""


class InvalidRepository(ImagegateError):
    """A text that names no repository."""


class Repository:
    """`Source`: the tags of one repository that match one of `globs`."""

    def __init__(
        self, repository: str, *, globs: Sequence[str], tags: TagList, namespace: str
    ) -> None:
        """Raises InvalidRepository."""
        self._reference = _repository(repository)
        self._globs = [Glob(each) for each in globs]
        self._tags = tags
        self._namespace = namespace

    async def told(self) -> AsyncIterator[Told]:
        """A tag each; a registry that does not list them is told as not read."""
        name = self._reference.repository
        other = signatures = 0
        try:
            async for page in self._tags.tags(self._reference):
                for tag in page:
                    if tag.startswith("sha256-") and tag.endswith(SIGNATURES):
                        signatures += 1
                    elif any(glob.matches(tag) for glob in self._globs):
                        yield Found(self._namespace, (f"{name}:{tag}",))
                    else:
                        other += 1
        except StepFailure as error:
            yield NotRead(f"the tags of {name}", str(error))
        if signatures:
            yield PassedOver(f"tags of {name} that hold signatures and the like", signatures)
        if other:
            yield PassedOver(f"tags of {name} that --tags does not name", other)


def _repository(text: str) -> ImageReference:
    try:
        reference = parse_reference(text)
    except InvalidReference as error:
        raise InvalidRepository(f"--repository {text!r}: {error}") from error
    # A host may have a port; a tag and a digest come after the last slash.
    if ":" in text.rpartition("/")[2]:
        raise InvalidRepository(
            f"--repository {text!r} names an image: write HOST/REPO, and its tags with --tags"
        )
    return reference
