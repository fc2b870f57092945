"""Room for bodies: how many bytes may be in work at one time."""

import pytest

from obs.collector.pipeline import Pipeline
from obs.errors import Overloaded


def test_room_is_bounded_and_given_back() -> None:
    pipeline = Pipeline({}, max_in_flight_bytes=100)
    with pipeline.room(60) as first:
        with pipeline.room() as second:
            second.grow(40)
            for room in (first, second):
                with pytest.raises(Overloaded, match="send it again in 1 s"):
                    room.grow(1)
            assert pipeline.in_flight_bytes == 100
        assert pipeline.in_flight_bytes == 60
        with pytest.raises(Overloaded), pipeline.room(41):
            pass
    assert pipeline.in_flight_bytes == 0


def test_a_body_alone_is_taken_however_large() -> None:
    pipeline = Pipeline({}, max_in_flight_bytes=100)
    with pipeline.room(70) as room:
        room.grow(70)
        with pytest.raises(Overloaded), pipeline.room(1):
            pass
    assert pipeline.in_flight_bytes == 0
