"""`POST /api/v1/admin/tsdb/snapshot`: the store as it stands, beside it, in a folder that obs opens as its data.

Hard links: it costs no room while the blocks stay. Answer: `{"name": …}`, a folder of `snapshots` in the data folder.
Source: https://prometheus.io/docs/prometheus/latest/querying/api/#snapshot
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from obs.columnar.snapshot import write_snapshot
from obs.tsdb.api_query import BadParameter
from obs.tsdb.filenames import SNAPSHOTS
from obs.tsdb.params import Params
from obs.tsdb.store import MetricStore

BOOLEANS = {"": False, **dict.fromkeys(("1", "t", "true"), True), **dict.fromkeys(("0", "f", "false"), False)}
"""What Go reads as a boolean, in lower case."""


def snapshot(store: MetricStore, given: Params) -> dict[str, str]:
    """Take one; with `skip_head` only of what is in blocks already. Raises: UserError."""
    skip_head = BOOLEANS.get(given.text("skip_head").lower())
    if skip_head is None:
        raise BadParameter("skip_head", "unable to parse boolean: give true or false")
    name = snapshot_name(store.clock.now_ns())
    folder = store.engine.folder
    destination = folder.parent / SNAPSHOTS / name / folder.name
    if skip_head:
        with store.view() as view:
            write_snapshot(view, destination)
    else:
        store.engine.snapshot(destination)
    return {"name": name}


def snapshot_name(now_ns: int) -> str:
    """The moment, and what tells two of the same second apart."""
    return f"{datetime.fromtimestamp(now_ns / 1e9, UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
