"""What `/api/v1/features` says: which of Prometheus's features there are here, under its names.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#features
"""

from __future__ import annotations

from obs.tsdb.promql.cursor import AGGREGATORS
from obs.tsdb.promql.functions.signatures import SIGNATURES
from obs.tsdb.promql.parse import PRECEDENCE

_API = (
    "admin", "exclude_alerts", "label_values_match", "lifecycle", "otlp_write_receiver", "query_stats",
    "query_warnings", "remote_write_receiver", "time_range_labels", "time_range_series",
)  # fmt: skip
_NOT_API = ("query_cost", "search")
_PROMQL = (
    "anchored", "at_modifier", "bool", "by", "delayed_name_removal", "duration_expr", "fill", "fill_left", "fill_right",
    "group_left", "group_right", "ignoring", "negative_offset", "offset", "on", "per_query_lookback_delta", "smoothed",
    "subqueries", "unquoted_utf8_names", "without",
)  # fmt: skip
_MATCHES = ("=~", "!~", "@")


def features() -> dict[str, dict[str, bool]]:
    """By category: a feature, and whether it is there."""
    functions = (name for name in SIGNATURES if name != "holt_winters")
    return {
        "api": {**dict.fromkeys(_API, True), **dict.fromkeys(_NOT_API, False)},
        "otlp_receiver": {"delta_conversion": True, "native_delta_ingestion": False},
        "prometheus": {"agent_mode": False, "auto_reload_config": False, "server_mode": True},
        "promql": {**dict.fromkeys(_PROMQL, True), "per_step_stats": False, "type_and_unit_labels": False},
        "promql_functions": dict.fromkeys(sorted(functions), True),
        "promql_operators": dict.fromkeys(sorted([*PRECEDENCE, *AGGREGATORS, *_MATCHES]), True),
        "rules": {"concurrent_rule_eval": True, "keep_firing_for": True, "query_offset": True},
        "service_discovery_providers": dict.fromkeys(("dns", "docker", "file", "http", "static"), True),
        "tsdb": {"exemplar_storage": True, "native_histograms": True},
    }
