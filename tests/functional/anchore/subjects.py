"""The image that tests of the client ask about."""

from shared.domain.verdict import Question, Subject

DIGEST = "sha256:" + "a" * 64

OTHER = "sha256:" + "b" * 64

APP = Subject(repository="registry.corp:5000/team/app", digest=DIGEST, tag="1.0")

UNTAGGED = Subject(repository="registry.corp:5000/team/app", digest=DIGEST)

MINE = Question()
