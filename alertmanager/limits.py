"""Each number of the alert pipeline, with its reason."""

DEFAULT_INTERVAL_S = 60.0
"""A group's interval where its file names none: Prometheus's default."""

RESOLVED_AFTER_INTERVALS = 4
"""An alert that its rule stops confirming is taken as resolved after this many intervals, as Prometheus tells
Alertmanager: one missed evaluation must not page anyone that all is well."""

RESEND_S = 60.0
"""The least interval counted with above, Prometheus's resend delay: a restart within it resolves nothing."""

RESOLVED_RETENTION_S = 15 * 60.0
"""How long a resolved alert is still shown and resent: Prometheus's figure."""

MAX_ALERTS_PER_RULE = 10_000
"""Alerts of one rule; past it the evaluation fails with a reason rather than paging ten thousand times."""

OUTAGE_S = 3600.0
"""A longer absence says nothing about what was pending before it: Prometheus's for-outage-tolerance."""

GROUPS_AT_ONCE = 16
"""Rule groups evaluated at one time: many more than cores, as a slow query mostly waits, and none may hold up all."""

RETRY_FIRST_S, RETRY_LONGEST_S = 1.0, 300.0
"""A webhook that fails is tried again after 1 s, doubling up to 5 minutes, until it is taken or the group changes."""

GROUPS_TOLD_AT_ONCE = 32
"""Notifications on their way at one time: threads that wait for receivers, so that a few hung ones hold up no other."""

SILENCE_RETENTION_S = 120 * 3600.0
"""How long a silence is shown after its end: Alertmanager's data.retention."""

CLOSE_S = 2.0
"""How long a stop waits for evaluations and notifications that run; those cut off are done again after the start."""

NOTIFY_TIMEOUT_S = 10.0
"""One attempt at a webhook; Alertmanager waits as long as its group interval, and a hung receiver is hung by then."""

TICK_S = 0.25
"""How often the pipeline looks whether something is due."""
