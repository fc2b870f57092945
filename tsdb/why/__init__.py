"""Why a query gave nothing: the part of it that is to blame, what there is instead, and when.

In: a query and its times. Out: reasons with their place in the query's text, none where the query gives something.
Files in reading order: reasons, walk, selectors, times, calls, pairs, api.
"""
