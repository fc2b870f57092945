"""What a notification passes through, in order: see `default_stages`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from obs.alertmanager.config import Receiver
from obs.alertmanager.group import Stage
from obs.alertmanager.inhibit import Inhibitor
from obs.alertmanager.silence import Silences
from obs.alertmanager.stages.dedupe import Dedupe
from obs.alertmanager.stages.mute import Mute
from obs.alertmanager.stages.send import Send


def default_stages(
    receivers: Mapping[str, Receiver], inhibitor: Inhibitor, silences: Silences, external_url: str
) -> Sequence[Stage]:
    """The pipeline read aloud: leave out what is muted, say only what is news, then send it until it is taken."""
    return (
        Mute(inhibitor.inhibited_by),
        Mute(silences.silenced_by),
        Dedupe(receivers),
        Send(receivers, external_url),
    )
