"""How a page is read, by its content type and the job's fallback."""

from __future__ import annotations

import pytest

from obs.collector.receivers.scrape.config import parse as jobs
from obs.collector.receivers.scrape.fetching import read_page
from obs.exposition.text import ExpositionError

BLANK = "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
HTML = 'received unsupported Content-Type "text/html; x=y" and no fallback_scrape_protocol specified for target'
PAGE = b"a 1\n# EOF\n"


@pytest.mark.parametrize(
    ("kind", "fallback", "said"),
    [
        ("text/plain; version=0.0.4", "", ""),
        ("Text/Plain", "", ""),
        ("application/openmetrics-text; version=1.0.0", "", ""),
        ("", "", BLANK),
        ("", "PrometheusText0.0.4", ""),
        ("", "OpenMetricsText1.0.0", ""),
        ("text/html; x=y", "", HTML),
        ("text/html; x=y", "PrometheusText0.0.4", ""),
        ("", "PrometheusProto", "cannot read"),
    ],
)
def test_a_page_is_read_by_what_it_says_it_is_or_by_the_fallback(kind: str, fallback: str, said: str) -> None:
    (job,) = jobs([{"job_name": "j", **({"fallback_scrape_protocol": fallback} if fallback else {})}])
    if said:
        with pytest.raises(ExpositionError) as raised:
            read_page(PAGE, kind, job)
        assert said in str(raised.value)
    else:
        assert [row.series for row in read_page(PAGE, kind, job).rows] == ["a"]
