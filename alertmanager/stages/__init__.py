"""What a notification passes through, in order: see `default_stages`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obs.alertmanager.config import Receiver
from obs.alertmanager.group import Stage
from obs.alertmanager.stages.dedupe import Dedupe
from obs.alertmanager.stages.send import Send


def default_stages(receivers: Mapping[str, Receiver], external_url: str) -> Sequence[Stage]:
    """The pipeline read aloud: say only what is news, then send it until it is taken."""
    return (Dedupe(), Send(receivers, external_url))
