"""Ports of the tests' servers: no two processes are given one, though neither listens yet."""

import json
import subprocess
import sys

from tests.servers.ports import free_ports

MANY = [str(number) for number in range(600)]
"""Of 22 000: two processes that only looked would have some sixteen in common."""

ASKS = """
import json, sys
from tests.servers.ports import free_ports
print(json.dumps(sorted(free_ports(*map(str, range(600))).values())), flush=True)
sys.stdin.read()
"""


def test_what_one_process_was_given_no_other_is_until_it_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ASKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        theirs = json.loads(other.stdout.readline())
        ours = free_ports(*MANY).values()
        assert other.stdin is not None
        other.stdin.close()
    assert len(set(theirs)) == len(set(ours)) == len(MANY)
    assert not set(theirs) & set(ours)
