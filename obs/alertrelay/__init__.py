"""Alerts of rules, sent on to other Alertmanagers as a prometheus.yml names them."""

from obs.alertrelay.config import Relaying, parse
from obs.alertrelay.relay import AlertRelay

__all__ = ["AlertRelay", "Relaying", "parse"]
