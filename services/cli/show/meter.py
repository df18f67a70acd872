"""The counters behind the show, read where operators read them: `/metrics` of each worker."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from services.cli.show.outcomes import Traffic
from shared.domain.errors import ImagegateError
from shared.runtime.metrics import Metrics

STEPS = "imagegate_steps_total"
CALLS = "imagegate_anchore_calls_total"
TIMEOUT = 5.0


class MetricsUnavailable(ImagegateError):
    """A worker's health port did not answer."""


class ScrapingMeter:
    """Adds up the counters of some health ports."""

    def __init__(self, *, urls: Sequence[str], session: aiohttp.ClientSession) -> None:
        self._urls = urls
        self._session = session

    async def traffic(self) -> Traffic:
        """Scrape all; raises MetricsUnavailable."""
        return traffic_of(await asyncio.gather(*(self._scrape(url) for url in self._urls)))

    async def _scrape(self, url: str) -> str:
        try:
            async with asyncio.timeout(TIMEOUT), self._session.get(f"{url}/metrics") as response:
                response.raise_for_status()
                return await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise MetricsUnavailable(f"{url}/metrics does not answer: {error}") from error


class OwnMeter:
    """Reads the counters of this very process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def traffic(self) -> Traffic:
        """What a scrape would tell."""
        return traffic_of([self._metrics.render().decode()])


def traffic_of(scrapes: Iterable[str]) -> Traffic:
    """The sums over some scrapes, by what they count; outcomes other than good ones are named."""
    steps: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for text in scrapes:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == STEPS:
                    steps[_step_name(sample.labels)] += round(sample.value)
                elif sample.name == CALLS:
                    calls[_call_name(sample.labels)] += round(sample.value)
    return Traffic(steps=dict(sorted(steps.items())), calls=dict(sorted(calls.items())))


def _step_name(labels: dict[str, str]) -> str:
    name = f"{labels['kind']} in lane {labels['lane']}"
    return name if labels["outcome"] == "done" else f"{name}, {labels['outcome']}"


def _call_name(labels: dict[str, str]) -> str:
    outcome = labels["outcome"]
    return labels["operation"] if outcome == "200" else f"{labels['operation']}, {outcome}"
