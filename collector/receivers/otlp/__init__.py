"""OTLP over gRPC and HTTP: see intake.py (bytes → stored), http.py and grpc_server.py (the two transports)."""
