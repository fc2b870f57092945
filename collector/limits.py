"""Each number the collector holds senders to, with its reason."""

from dataclasses import dataclass

MAX_BODY_BYTES = 64 << 20
"""A request body as it arrives. The OpenTelemetry Collector sends at most a few MiB; 64 MiB leaves room for
bulk imports while two such bodies still fit the memory limit of a small machine."""

MAX_INFLATED_BYTES = 256 << 20
"""A body after decompression: a gzip bomb of 1 MiB inflates a thousandfold; telemetry inflates 5 to 20 times."""


MAX_IN_FLIGHT_BYTES = 512 << 20
"""Inflated bodies being decoded at one time; past it senders are told to come back."""

BODY_S = 60.0
"""How long a body may take to arrive: the largest one at 9 Mbit/s. It holds room all the while, which others lack."""

WHOLE_BYTES = 1 << 20
"""Bodies up to this size are gathered by their connection and taken whole: what Prometheus and agents send is a tenth
of it. Larger ones would keep their pieces twice while they are put together, on the event loop."""

GRPC_BODY_S = 30.0
"""The same over gRPC, where a thread waits for it: senders that stall must not hold them all for long."""

GRPC_QUERIES = 4
"""Queries over gRPC worked on at one time, in threads of their own: they must not hold up what is sent."""

GRPC_QUERY_CALLS = 64
"""Calls of queries at one time, most of which wait for a client that reads slowly: a thread each, and one message."""

GRPC_QUERY_S = 300.0
"""The longest that one call of a query may take, its client's reading included: one that takes a message now and then
would keep its thread for ever."""

MAX_GZIP_MEMBERS = 10_000
"""Streams in one gzip body: writers that append make some dozens; each costs a decompressor and holds the GIL."""

MAX_PUSHED_BYTES = 8 << 20
"""One push of a job, inflated: some 80,000 series. Groups are kept in memory, and written again every half minute."""

MAX_PUSHED_GROUPS = 10_000
"""Groups kept at one time: all are written again every half minute, and their file with every push."""

RETRY_AFTER_S = 1.0
"""What a refused sender is told to wait: about one flush of a head."""

DECODE_THREADS = 4
"""Requests decoded at one time: the kernels release the GIL, and a thread that waits for the WAL costs nothing."""


@dataclass(frozen=True, slots=True)
class BodySizes:
    """The largest body, in bytes, that a receiver takes: as it arrives, and after decompression."""

    body: int = MAX_BODY_BYTES
    inflated: int = MAX_INFLATED_BYTES
