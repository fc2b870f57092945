"""The web UI: Dash pages over the HTTP API."""
