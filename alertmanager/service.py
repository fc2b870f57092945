"""The alert pipeline as one object: rules, intake, groups, state; threads that tick them, or a test that does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import yaml

from obs.alertmanager.alert import Alert
from obs.alertmanager.config import AlertConfig, parse, shown
from obs.alertmanager.group import Dispatcher, Stage
from obs.alertmanager.inhibit import Inhibitor
from obs.alertmanager.intake import Intake
from obs.alertmanager.limits import CLOSE_S, TICK_S
from obs.alertmanager.rules.load import CheckQuery, load_groups
from obs.alertmanager.rules.manager import Manager
from obs.alertmanager.rules.model import DEFAULTS, GroupDefaults
from obs.alertmanager.silence import Silences
from obs.alertmanager.stages import default_stages
from obs.alertmanager.state import StateFile
from obs.model.batch import Batch
from obs.model.clock import Clock
from obs.model.labels import Labels, make_labels
from obs.model.ports import Evaluator

log = logging.getLogger("obs.alerts")


@dataclass(frozen=True, slots=True)
class AlertOptions:
    """What the pipeline is configured with."""

    folder: Path
    rule_files: Sequence[str]
    alerting: Mapping[str, Any]
    external_url: str
    external_labels: Mapping[str, str] = field(default_factory=dict)  # of alerts that have them not
    defaults: GroupDefaults = DEFAULTS
    relabel: Callable[[Labels], Labels | None] = lambda labels: labels  # of alerts of rules; None: told to nobody


class Peers(Protocol):
    """Other Alertmanagers."""

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Hand on the alerts of a rule, as they are now."""

    def listed(self) -> tuple[list[str], list[str]]:
        """Addresses of those that are told, and of those that are left out."""


class Nobody:
    """There are none."""

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Nothing to do."""

    def listed(self) -> tuple[list[str], list[str]]:
        """None."""
        return [], []


class AlertService:
    """Evaluates rules and notifies. Raises ConfigError from the constructor and from `reload`."""

    def __init__(
        self,
        options: AlertOptions,
        evaluators: Mapping[str, Evaluator],
        check: CheckQuery,
        store: Callable[[Batch], None],
        clock: Clock,
        peers: Peers = Nobody(),
    ) -> None:
        self._options = options
        self.config: AlertConfig = parse(options.alerting)
        self.intake = Intake()
        self.manager = Manager(evaluators, store, self._tell, options.external_url, self.external_labels)
        self.silences = Silences()
        self.inhibitor = Inhibitor(self.config.inhibit_rules, self.intake)
        self.dispatcher = Dispatcher(self.config, self.intake, self._stages())
        self._check = check
        self.peers = peers
        self._clock = clock
        self._state = StateFile(options.folder)
        self._rules_lock = threading.Lock()
        self._groups_lock = threading.Lock()
        self._save_lock = threading.Lock()
        self._evaluated = threading.Event()
        self._stopping = threading.Event()
        ticks = (self.tick_rules, self.tick_groups)
        self._threads = [threading.Thread(target=self._run, args=(t,), name=t.__name__, daemon=True) for t in ticks]
        self._restore()

    @property
    def now_ns(self) -> int:
        """The pipeline's time."""
        return self._clock.now_ns()

    def start(self) -> None:
        """Tick in a thread until `close`."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop and save; safe without `start`."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self.manager.close(CLOSE_S)
        self.dispatcher.close(CLOSE_S)
        self.save()

    def external_labels(self) -> Mapping[str, str]:
        """Those of now."""
        return self._options.external_labels

    def _tell(self, alerts: Sequence[Alert]) -> None:
        """Take the rules' alerts in, and hand them on, with the external labels and relabeled."""
        options = self._options
        added = options.external_labels
        if added:
            alerts = [replace(a, labels=make_labels({**added, **dict(a.labels)})) for a in alerts]
        kept = [(a, options.relabel(a.labels)) for a in alerts]
        alerts = [a if labels == a.labels else replace(a, labels=labels) for a, labels in kept if labels is not None]
        self.intake.take(alerts)
        self.peers.tell(alerts)

    def reload(self, options: AlertOptions | None = None) -> None:
        """Take over `options`, or read the rule files again; on an error all stays. Raises: ConfigError."""
        self.prepared(options or self._options)()

    def prepared(self, options: AlertOptions) -> Callable[[], None]:
        """Read all that `options` name; what is returned takes it over and cannot fail. Raises: ConfigError."""
        config = parse(options.alerting)
        groups = load_groups(options.rule_files, self._check, options.defaults)

        def use() -> None:
            with self._rules_lock:
                self._options = options
                self.manager.set_groups(groups, self.now_ns)
            if config != self.config:
                self._route_by(config)

        return use

    def _route_by(self, config: AlertConfig) -> None:
        with self._groups_lock:
            self.config, self.inhibitor = config, Inhibitor(config.inhibit_rules, self.intake)
            self.dispatcher.route_by(config, self._stages())

    def _stages(self) -> Sequence[Stage]:
        return default_stages(self.config.receivers, self.inhibitor, self.silences, self._options.external_url)

    def tick_rules(self, now_ns: int) -> None:
        """Start the rule groups that are due; keep what those that ended have found."""
        with self._rules_lock:
            for evaluation in self.manager.tick(now_ns):
                evaluation.add_done_callback(lambda _: self._evaluated.set())
        if self._evaluated.is_set():
            self._evaluated.clear()
            self.save()

    def tick_groups(self, now_ns: int) -> None:
        """Start to tell the receivers of groups that are due; what they took is kept at once."""
        with self._groups_lock:
            sending = self.dispatcher.tick(now_ns)
        if sending:
            self.intake.forget_ended(now_ns)
            self.silences.forget_ended(now_ns)
        for notification in sending:
            notification.add_done_callback(lambda _: self.save())

    def config_text(self) -> str:
        """The configuration of routes and receivers as YAML, secrets hidden."""
        return yaml.safe_dump(shown(self._options.alerting), sort_keys=False)

    def _restore(self) -> None:
        now_ns = self.now_ns
        options = self._options
        self.manager.set_groups(load_groups(options.rule_files, self._check, options.defaults), now_ns)
        saved = self._state.load()
        self.silences.restore(saved.get("silences", []))
        self.intake.restore(saved.get("alerts", []))
        self.manager.restore(saved.get("rules", {}), now_ns)
        self.dispatcher.restore(saved.get("groups", {}), now_ns)

    def save(self) -> None:
        """Write what must outlive a restart, if it changed."""
        with self._save_lock:  # from reading to writing, so that none writes what is older than the file
            value = {
                "rules": self.manager.to_json(),
                "alerts": self.intake.to_json(),
                "groups": self.dispatcher.to_json(),
                "silences": self.silences.to_json(),
            }
            self._state.save(value)

    def _run(self, tick: Callable[[int], None]) -> None:
        while not self._stopping.wait(TICK_S):
            try:
                tick(self.now_ns)
            except Exception:
                log.exception("the alert pipeline failed once; it goes on")
