"""Each store, and the engine below them, under the contract."""

from __future__ import annotations

import numbered_stores
from store_contract import StoreContract


class TestEngine(StoreContract):
    """What all stores stand on."""

    kind = numbered_stores.Values


class TestMetricStore(StoreContract):
    """Samples."""

    kind = numbered_stores.Metrics


class TestLogStore(StoreContract):
    """Log records."""

    kind = numbered_stores.Logs


class TestTraceStore(StoreContract):
    """Spans."""

    kind = numbered_stores.Traces
