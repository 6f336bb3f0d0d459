"""A provider for tests: it speaks the OpenAI protocol over HTTP and misbehaves on demand.

    from archon.testing.provider import Provider

    with Provider(latency=0.2, faults={"rate_limit": 0.1, "hang": 0.01}) as provider:
        ...  # point a client at provider.url + "/v1"
        assert provider.stats()["delivered"] == 100

Replies depend on the prompt alone, by default `answer <8 hex digits of its hash> <i>` for choice
i; `script=` takes a function of messages and i, and `unique=True` makes every reply another one.
It honours `n`, `max_tokens`, `stop`, `logprobs`, JSON schemas, streams, and the continuation of a
message. `Settings` lists all that can be set; `provider.set(latency=0)` changes it while it runs.

Faults: `FAULTS` holds every one by name, with its kind, whether it is billed, and what it does.

    Provider(faults={"hang": 0.05, "server_error": 0.1})       # the share of each
    Provider(fault_share=0.2, kinds=["transient", "-hang"])    # a share of these together
    Provider(one_shot=["rate_limit", "", "closed"])            # the first three requests

Which request gets which fault follows from the seed, the prompt and how often it was asked, with
`max_in_a_row` (3) faults in succession for one prompt, so that a client that tries again gets
through. `one_shot` acts on any request, also where a fault suits only streams or only the others.

`provider.stats()` counts requests, those in flight and their peak, connections, replies delivered,
what was billed, and faults; `provider.log()` has an entry for each request to a model: `id`,
`prompt` (the start of its SHA-256), `text` of the last user message, `n`, `fault` (or why it was
refused), `billed`, and `delivered`, which only a reply that a client should accept can be. What
the model computed is billed when the request arrives, whether the client waits for it or not. The
same over HTTP: GET /stats and /log, POST /reset and /settings.

As a process, which measures apart from its client and survives it:

    with ProviderProcess(latency=0.2) as provider: ...
    python -m archon.testing.provider --latency 0.2 --fault-share 0.2 --kinds transient
"""

from archon.testing.provider.exchange import Exchange, Fault, Kind
from archon.testing.provider.faults import FAULTS
from archon.testing.provider.running import Provider, ProviderProcess
from archon.testing.provider.settings import Script, Settings

__all__ = [
    "FAULTS",
    "Exchange",
    "Fault",
    "Kind",
    "Provider",
    "ProviderProcess",
    "Script",
    "Settings",
]
