"""The text of a matrix's points against one point after the other."""

from __future__ import annotations

import math

import numpy as np
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from obs.tsdb.promql import encode
from obs.tsdb.promql.formatting import go_json
from obs.tsdb.promql.result import Result

times = st.one_of(st.integers(-(10**13), 10**13), st.integers(-5000, 5000), st.integers(-(2**62), 2**62))
values = st.one_of(
    st.floats(), st.integers(-(10**6), 10**6).map(float), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1e-5])
)
cells = st.lists(st.lists(st.one_of(st.none(), values), min_size=4, max_size=4), max_size=5)


@examples(300)
@given(start=times, step=st.sampled_from([1, 7, 250, 1000, 60_000]), rows=cells)
def test_points(start: int, step: int, rows: list[list[float | None]]) -> None:
    at = start + step * np.arange(4)
    present = np.array([[v is not None for v in row] for row in rows], np.bool_).reshape(len(rows), 4)
    matrix = np.array([[0.0 if v is None else v for v in row] for row in rows]).reshape(len(rows), 4)
    result = Result("matrix", [(("row", str(i)),) for i in range(len(rows))], at, matrix, present)
    texts = encode.time_texts(at)
    wanted = [
        f'{{"metric":{{"row":"{i}"}}'
        + (',"values":[' + ",".join(f'[{t},"{go_json(v)}"]' for t, v in some) + "]" if some else "")
        + "}"
        for i, row in enumerate(rows)
        for some in [[(t, v) for t, v in zip(texts, row, strict=True) if v is not None]]
    ]
    assert encode.data(result).decode() == f'{{"resultType":"matrix","result":[{",".join(wanted)}]}}'
