"""The pages, in the order of the menu."""

from obs.ui.pages import alerts, logs, metrics, overview, services, trace, traces
from obs.ui.pages.route import Route

ROUTES: tuple[Route, ...] = (
    Route("/", overview.layout, overview.register),
    Route("/ui/metrics", metrics.layout, metrics.register),
    Route("/ui/logs", logs.layout, logs.register),
    Route("/ui/traces", traces.layout, traces.register),
    Route("/ui/traces/*", trace.layout, trace.register),
    Route("/ui/services", services.layout, services.register),
    Route("/ui/alerts", alerts.layout, alerts.register),
)
