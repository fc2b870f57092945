"""Patterns: what lines have in common, mined when blocks are written and from what is still in the head.

shapes.py: a line without what varies in it; drain.py: shapes to templates; counts.py: templates with their counts by
stream and time, of any rows; query.py: over blocks and head. A kernel finds the shapes, so that the tree sees each
distinct shape once and not each line.
"""
