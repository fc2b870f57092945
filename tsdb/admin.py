"""`/api/v1/admin/tsdb/delete_series` and `clean_tombstones`, by POST or PUT; both answer 204.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#tsdb-admin-apis
"""

from __future__ import annotations

from fastapi import Response

from obs.errors import QueryError
from obs.tsdb.params import Params
from obs.tsdb.store import MetricStore


def delete_series(store: MetricStore, given: Params) -> Response:
    """Delete what any `match[]` selects from `start` to `end`, by default at any time. Raises: ObsError."""
    selectors = given.selectors()
    if not selectors:
        raise QueryError("no match[] parameter provided")
    store.delete(selectors, *given.span())
    return Response(status_code=204)


def clean_tombstones(store: MetricStore) -> Response:
    """Write what has deleted rows anew, without them. Raises: ObsError."""
    store.clean()
    return Response(status_code=204)
