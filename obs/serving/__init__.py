"""What the server process needs around the rooms: sockets, the ASGI front, health, own telemetry, children."""
