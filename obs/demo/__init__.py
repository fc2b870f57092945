"""A small shop of five instrumented processes, with load, errors and slow calls: `obs demo`.

shop.py: who is who; telemetry.py: the OpenTelemetry SDK set up as an application would; service.py, worker.py,
shopper.py: the processes; run.py: starts and stops them.
"""
