"""SQL over all three stores: DuckDB reads blocks in place and heads from memory, and can touch nothing else.

views.py: stores → view definitions; engine.py: one query under limits; answers.py: a result as JSON,
CSV or Arrow; api.py: `/api/sql`.
"""
