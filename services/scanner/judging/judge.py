"""The child process that matches and evaluates: `python -m services.scanner.judging.judge`.

One question at a time from standard input, its answer to standard output. It may be killed at
any moment, and is when a question takes too long: regular expressions of a policy and texts of
an image run here, never in the server.
"""

import os
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from services.scanner.analysis.contents import Contents
from services.scanner.analysis.facts import read_facts
from services.scanner.bundles.bundle import read_bundle
from services.scanner.bundles.evaluation import as_engine_result, evaluate
from services.scanner.bundles.problems import InvalidBundle, NoBundle
from services.scanner.bundles.selection import Subject
from services.scanner.feeds.feed import OpenFeed
from services.scanner.judging.questions import (
    LENGTH,
    MAX_FRAME,
    READY,
    Accepted,
    Answer,
    Evaluate,
    Evaluated,
    Facts,
    Failed,
    Match,
    Matched,
    Question,
    ReadFacts,
    ReadGrype,
    Refused,
    Validate,
    WriteSbom,
    Written,
)
from services.scanner.matching.finding import WrittenMatches
from services.scanner.matching.grype_findings import read_findings
from services.scanner.matching.grype_sbom import write_sbom
from services.scanner.records import AnalysisFailed, ImageFacts


def answer(question: Question, feed: OpenFeed) -> Answer:
    """Never raises: whatever a text of the outside sets off becomes `Failed`."""
    try:
        if isinstance(question, Validate):
            return _validate(question)
        if isinstance(question, ReadFacts):
            return _read(question)
        if isinstance(question, Match):
            facts = msgspec.json.decode(question.facts, type=ImageFacts)
            return Matched(WrittenMatches.of(feed.at(Path(question.feed)).match(facts)))
        if isinstance(question, WriteSbom | ReadGrype):
            return _about_grype(question)
        return _evaluate(question)
    except Exception as error:
        return Failed(type(error).__name__, str(error)[:500])


def _validate(question: Validate) -> Answer:
    try:
        bundle = read_bundle(question.bundle)
    except NoBundle as error:
        return Refused(shape=str(error))
    except InvalidBundle as error:
        return Refused(problems=tuple(error.problems))
    return Accepted(bundle.id, bundle.name)


def _read(question: ReadFacts) -> Answer:
    try:
        facts = read_facts(
            listing=Path(question.listing).read_bytes(),
            contents=msgspec.json.decode(Path(question.contents).read_bytes(), type=Contents),
            config=Path(question.config).read_bytes(),
            dockerfile=question.dockerfile,
            layers=question.layers,
        )
    except AnalysisFailed as error:
        return Failed("AnalysisFailed", str(error))
    return Facts(facts)


def _about_grype(question: WriteSbom | ReadGrype) -> Answer:
    facts = msgspec.json.decode(question.facts, type=ImageFacts)
    if isinstance(question, WriteSbom):
        Path(question.path).write_bytes(write_sbom(facts))
        return Written()
    answer = Path(question.answer).read_bytes()
    matches = read_findings(
        answer, facts, question.database, data=question.data, built=question.built
    )
    return Matched(WrittenMatches.of(matches))


def _evaluate(question: Evaluate) -> Answer:
    facts = msgspec.json.decode(question.facts, type=ImageFacts)
    try:
        bundle = read_bundle(question.bundle)
    except (InvalidBundle, NoBundle) as error:
        return Failed(
            type(error).__name__,
            "the policy bundle was stored by another version, and this one does not take it; "
            f"change it and push it again: {error}"[:2_000],
        )
    subject = Subject(question.fulltag, question.digest, question.image_id)
    outcome = evaluate(bundle, facts, question.matches.read(), subject=subject, now=question.now)
    result = as_engine_result(
        outcome,
        bundle=msgspec.Raw(question.bundle),
        digest=question.digest,
        image_id=question.image_id,
        fulltag=question.fulltag,
        now=question.now,
    )
    return Evaluated(outcome.status, msgspec.Raw(msgspec.json.encode(result)))


def _read_frame(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    return stream.read(length)


def main() -> None:
    """Answer until standard input ends."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not stand between two answers
    feed = OpenFeed()
    decoder = msgspec.json.Decoder(Question)
    answers.write(READY)
    answers.flush()
    while (frame := _read_frame(questions)) is not None:
        text = msgspec.json.encode(answer(decoder.decode(frame), feed))
        if len(text) > MAX_FRAME:
            text = msgspec.json.encode(Failed("ResultTooLarge", f"over {MAX_FRAME} bytes"))
        answers.write(LENGTH.pack(len(text)) + text)
        answers.flush()


if __name__ == "__main__":
    main()
