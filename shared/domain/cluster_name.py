"""What a cluster may be called (IMAGEGATE_CLUSTER), where several share a store or an operator's
key: it stands in keys and ids, where no two may be one."""

import re
from typing import Annotated

import msgspec

MAX_CLUSTER = 63
"""Characters."""

_GRAMMAR = rf"^([a-z0-9]([a-z0-9.-]{{0,{MAX_CLUSTER - 2}}}[a-z0-9])?)?\Z"

_TEXT = f"at most {MAX_CLUSTER} of a-z, 0-9, '.' and '-', with a letter or digit at each end"

ClusterName = Annotated[str, msgspec.Meta(pattern=_GRAMMAR, description=f"of {_TEXT}")]
"""Empty: it has none."""

ALLOWED = f"must be {_TEXT}"


def is_cluster_name(text: str) -> bool:
    """Whether a cluster may be called so, or has no name at all."""
    return re.match(_GRAMMAR, text) is not None


def shown_cluster(cluster: str) -> str:
    """What people read for its name, which may be none."""
    return cluster or "(has no name)"


def another_is_meant(meant: str, this: str) -> str:
    """Why what was signed for the cluster `meant` does not count in `this`."""
    return f"{meant!r} is meant, and this is {this!r} (IMAGEGATE_CLUSTER)"
