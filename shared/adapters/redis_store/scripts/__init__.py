"""The Lua scripts: each is one stroke on the server, with the server's clock.

Keys (behind the prefix), all times in milliseconds:

    record:<key>        string: a sealed record, until its end
    claim:<key>         string: whose request claim it is, for its life
    claim:nudge:<uid>   string: when somebody took it to nudge the owner of that uid, for a moment
    lease:<key>         hash chain, hop, lane, first_seen, tenant: the scan record, for its life
    steps               hash: what was claimed and not begun, by claim key
    steps:when          sorted set: when each of them was last published
    steps:seen:<lane>   sorted set: when each was first seen
    leases:when         sorted set: when each scan record ends
    leases:seen:<lane>  sorted set: when each scan was first seen
    leases:places       sorted set: when each scan record ends that has one of prewarm's places
    leases:of:<tenant>  sorted set: when each request and scan ends that counts for the tenant; ends
                        with the last of them
    polls               hash tokens, at (microseconds): the bucket of looks at analyses
    changed             channel: the keys of records that changed, nothing else
    decisions           stream, field decision: the last decisions of all webhooks, about 2 000
    beats               hash: what each process last said of itself, by its name
    beats:when          sorted set: when that was
    exceptions          hash: sealed exceptions by their ids, without a time to live
    exceptions:ends     sorted set: when each of them ends
    uses                sorted set: images as pods name them, with a question, by their last use
    leader:<name>       string: who leads, for a lease's life

Decisions and beats are for people: bounded, and read by nothing that decides. Uses are bounded and
believed by nobody: of one that no signed verdict is known of, nothing is asked.

A script gets the first names of `steps` and `leases` and derives the others from them (who claims
gets the tenant's alone); that holds in Redis Cluster too when the prefix has a hash tag.

A Redis user of our own for all services needs these rights, with the prefix `ig1:`, and no
others (tests/integration/test_redis_faults.py shows that they are enough; a user for each
service: docs/design/redis-rights.md):

    ~ig1:* &ig1:* +mget +evalsha +script|load +ping +scan +subscribe
    +get +set +del +getrange +publish +pexpire +pttl +time
    +hget +hmget +hset +hdel +hexists +hlen +hstrlen
    +zadd +zrem +zcard +zcount +zscore +zrange +zrangebyscore
    +zremrangebyscore +zremrangebyrank +xadd +xrevrange
"""
