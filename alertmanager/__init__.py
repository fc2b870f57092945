"""Rules, alerts, routes and notifications. See README.md."""
