"""Workers: what one follows and adds, what a second one brings, and what kills cost.

Redis, RabbitMQ, the workers and a fake Anchore are processes of their own; the requests are those
that a webhook publishes. About ten minutes.

worker_rss_mib_2000_analyses    the most memory resident of one worker that follows 2 000 analyses,
                                none of which ends, over forty seconds
polls_per_second_2000_analyses  how often Anchore is asked meanwhile how far one is
steps_per_second_2000_analyses  deliveries that the worker ends meanwhile, most of which ask nothing
cpu_share_2000_analyses         what it takes of a core for that
added_ms_known_analysis         of images that Anchore has analysed before: from the publish of the
                                request to the announcement of the verdict, less what Anchore's two
                                calls take alone, asked right after it; the median
added_ms_..._beside_2000        the same while the 2 000 analyses are followed
two_workers_vs_one              time that two workers take for 5 000 requests of images that Anchore
                                has analysed before, 200 ms a call, in parts of what one takes; from
                                the first verdict to the last
lost_after_20_kills             images without verdict after kill -9 of one of two workers in
                                mid-backlog, 20 times, each with a backlog of 60 new images, of
                                people's lane and prewarm's in turn; another worker is started.
                                Nobody asks again: no claim, no reconciler
max_submits_after_20_kills      how often one of them was handed to Anchore at most
lost_after_broker_kills         the same after kill -9 of RabbitMQ, which is started again
max_submits_after_broker_kills
"""

import tempfile
from pathlib import Path

import uvloop

from tests.bench.workers_following import follow_and_judge
from tests.bench.workers_kills import kill_brokers, kill_workers
from tests.bench.workers_two import two_beside_one


def main() -> None:
    """Print the figures."""
    for bench in (follow_and_judge, two_beside_one, kill_workers, kill_brokers):
        with tempfile.TemporaryDirectory() as folder:
            uvloop.run(bench(Path(folder)))
