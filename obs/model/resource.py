"""Resource attributes of OpenTelemetry that name what telemetry is from.

Source: opentelemetry.io/docs/specs/semconv/resource
"""

from __future__ import annotations

NAMING_ATTRIBUTES = (
    "service.name",
    "service.namespace",
    "service.instance.id",
    "deployment.environment",
    "deployment.environment.name",
    "host.name",
    "container.id",
    "container.name",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.deployment.name",
    "k8s.daemonset.name",
    "k8s.statefulset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
    "k8s.pod.name",
    "k8s.container.name",
    "cloud.region",
    "cloud.availability_zone",
)
"""Loki's list for OTLP, and what names a host or a container."""
