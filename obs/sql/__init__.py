"""SQL over all three stores: DuckDB reads blocks in place and heads from memory, and can touch nothing else.

views.py: stores → view definitions; engine.py: one query under limits; workers.py, worker.py and messages.py: the
processes that run queries; answers.py: a result as JSON, CSV or Arrow; api.py: `/api/sql`.
"""
