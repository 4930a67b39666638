"""Looks at a server, and a run where the rule held for long enough: decided once, submitted once, told why."""

import fcntl
import math
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from brakeline import findings, server_metrics, watch_state
from brakeline.findings import Finding
from brakeline.refusals import TRY_AGAIN, USAGE, Refused
from brakeline.rule import Rule, duration_text
from brakeline.server_metrics import Address, CannotLook, Look, UnusableServer
from brakeline.trigger import Submitter
from brakeline.watch_log import WatchLog
from brakeline.watch_state import DECIDED, ENDED, RUNNING, SUBMITTED, Baseline, Trigger

TRIGGERED = 10  # what one look ends with where a run was submitted, or would be
_LONGEST_BACKOFF_S = 600.0
_LONGEST_RETRY_S = 3600.0
_GUARD = ".watch.lock"


@dataclass(frozen=True)
class Looked:
    """What came of one look. `status` is nothing, pending, cooldown, would_submit, submitted, failed or down."""

    status: str
    findings: list[Finding] = field(default_factory=list)
    error: str = ""
    exit_code: int = 0
    trigger: Trigger | None = None

    def facts(self) -> dict[str, Any]:
        """In one JSON object."""
        trigger = None if self.trigger is None else vars(self.trigger)
        found = [finding.facts() for finding in self.findings]
        return {"status": self.status, "findings": found, "trigger": trigger, "error": self.error}


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Keep other watches from the state for a block. Raises Refused (75) where one is there."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / _GUARD).open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"{state}: another brakeline watch is at work there; one is enough", TRY_AGAIN) from error
        yield


def end_by_signals(submitter: Submitter) -> None:
    """From here on SIGTERM and Ctrl-C end the process at once with 143, and the command that it started.

    Nothing is raised: libraries swallow what comes up in callbacks of theirs. What is on the disk is always whole.
    """

    def end(number: int, _: object) -> None:
        submitter.stop()
        os._exit(128 + signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


class Watch:
    """Watches one server; `now` tells the time [s since 1970], `look` asks the server."""

    def __init__(
        self,
        address: Address,
        rule: Rule,
        state: Path,
        submitter: Submitter,
        to: str,
        now: Callable[[], float],
        dry_run: bool = False,
        wait: bool = False,
        look: Callable[[Address], Look] = server_metrics.look,
        longest_gap_s: float = math.inf,
    ) -> None:
        """Go on where the last watch ended, whose time counts unless it ended more than `longest_gap_s` ago.

        Raises Refused for a memory that no watch wrote.
        """
        self._address, self._rule, self._state, self._submitter = address, rule, state, submitter
        self._to, self._now, self._dry_run, self._wait, self._look = to, now, dry_run, wait, look
        self._log, self._memory = WatchLog(state), watch_state.read(state)
        self._memory.begin_at(now())
        self._started_command = self._has_looked = False
        self._longest_gap_s = longest_gap_s

    def step(self) -> Looked:
        """One look, what follows from it, and what is still open from before.

        Raises Refused for an address that can be used for no look, and for a command line of the run that is none.
        """
        now_s, open_ = self._now(), self._memory.trigger
        if open_ is None or not open_.is_open or self._dry_run:
            return self._judged(now_s)
        failed = self._pursue(open_, now_s)
        if failed is not None:
            return failed
        looked = self._judged(now_s)
        return looked if open_.is_open else replace(looked, status="submitted", exit_code=TRIGGERED)

    def _judged(self, now_s: float) -> Looked:
        try:
            seen = self._look(self._address)
        except CannotLook as error:
            # A token's file may be away for a moment while it is replaced; at first it is a mistake.
            if isinstance(error, UnusableServer) and not self._has_looked:
                raise Refused(str(error), USAGE) from error
            return self._down(error, now_s)
        self._has_looked = True
        looked = self._conclude(self._advance(seen, now_s), now_s)
        self._memory.write(self._state)
        return looked

    def pause_s(self, interval_s: float) -> float:
        """How long to wait until the next look: longer from failure to failure."""
        return min(interval_s * 2.0 ** min(self._memory.failures, 10), max(_LONGEST_BACKOFF_S, interval_s))

    def _down(self, error: CannotLook, now_s: float) -> Looked:
        memory = self._memory
        if memory.failing_since_s is None:
            memory.failing_since_s = now_s
            self._log.note(now_s, "cannot_look", error=str(error))
        memory.failures += 1
        memory.write(self._state)
        return Looked("down", error=str(error), exit_code=error.exit_code, trigger=memory.trigger)

    def _advance(self, seen: Look, now_s: float) -> list[Finding]:
        """Add what was counted since the last look, and how long each condition has held; returns what was found."""
        memory = self._memory
        if (memory.server, memory.version, memory.sha256) != (self._address.url, seen.version, seen.sha256):
            memory.forget_model()
            memory.server, memory.version, memory.sha256 = self._address.url, seen.version, seen.sha256
            memory.looked_s = now_s
            self._log.note(now_s, "model", server=memory.server, version=seen.version, sha256=seen.sha256)
        else:
            restarted = seen.counts.is_behind(memory.seen) or seen.started != memory.started
            if restarted:
                self._log.note(now_s, "server_restarted", version=seen.version)
            memory.add(seen.counts if restarted else seen.counts - memory.seen, now_s, self._rule.window_s)
        if memory.failing_since_s is not None:
            self._log.note(now_s, "looks_again", seconds=round(now_s - memory.failing_since_s, 1))
        passed_s = max(now_s - memory.looked_s, 0.0)
        stood_still = passed_s > self._longest_gap_s and memory.failing_since_s is None
        if stood_still:
            self._log.note(now_s, "stood_still", seconds=round(passed_s, 1))
        # Where a look between failed, or there was none, nobody knows what held since the last good one.
        if stood_still or memory.failing_since_s is not None:
            passed_s = 0.0
        memory.seen, memory.started, memory.looked_s = seen.counts, seen.started, now_s
        memory.failures, memory.failing_since_s = 0, None
        self._keep_baseline(seen, now_s)
        after_s = memory.trigger.at_s if memory.trigger else 0.0
        told = findings.of_feedback(self._state, seen.sha256, after_s)
        found = findings.judge(self._rule, seen, memory.total(), memory.baseline, told)
        for one in found:
            if one.holds and one.name not in memory.held_s:
                self._log.note(now_s, "holds", condition=one.name, reason=one.words)
        for name in set(memory.held_s) - {one.name for one in found if one.holds}:
            self._log.note(now_s, "holds_no_longer", condition=name, seconds=round(memory.held_s.pop(name), 1))
        for one in found:
            if one.holds:
                memory.held_s[one.name] = memory.held_s[one.name] + passed_s if one.name in memory.held_s else 0.0
        return found

    def _keep_baseline(self, seen: Look, now_s: float) -> None:
        memory, counts = self._memory, seen.counts
        if memory.baseline is None and counts.spread_rows >= self._rule.rows:
            memory.baseline = Baseline(counts.mean_spread_m, counts.spread_rows, now_s)
            spread_m = round(counts.mean_spread_m, 3)
            self._log.note(now_s, "baseline", version=seen.version, spread_m=spread_m, rows=counts.spread_rows)

    def _conclude(self, found: list[Finding], now_s: float) -> Looked:
        memory, rule = self._memory, self._rule
        due = [one for one in found if one.holds and memory.held_s[one.name] >= rule.for_s]
        if not due:
            memory.told = []
            return Looked("pending" if memory.held_s else "nothing", found, trigger=memory.trigger)
        reason = "; ".join(f"{one.words}, for {duration_text(round(memory.held_s[one.name]))}" for one in due)
        last = memory.trigger
        if last is not None and (last.is_open or now_s - last.at_s < rule.cooldown_s):
            left_s = last.at_s + rule.cooldown_s - now_s
            self._tell_once(now_s, "cooldown", due, reason=reason, seconds_left=round(max(left_s, 0.0)))
            return Looked("cooldown", found, trigger=last)
        if self._dry_run:
            self._tell_once(now_s, "would_submit", due, reason=reason)
            return Looked("would_submit", found, exit_code=TRIGGERED, trigger=last)
        key = f"watch-{memory.version}-{memory.sha256[:8]}-{int(now_s)}-{os.urandom(3).hex()}"
        made = memory.trigger = Trigger(key, now_s, reason, self._to)
        memory.write(self._state)
        self._log.note(now_s, "decided", key=key, reason=reason, to=self._to)
        failed = self._pursue(made, now_s)
        return failed or Looked("submitted", found, exit_code=TRIGGERED, trigger=made)

    def _tell_once(self, now_s: float, event: str, due: list[Finding], **facts: Any) -> None:
        names = [event, *(one.name for one in due)]
        if self._memory.told != names:
            self._log.note(now_s, event, **facts)
        self._memory.told = names

    def _pursue(self, trigger: Trigger, now_s: float) -> Looked | None:
        """Start what was decided, or see how it ended; returns what came of it where it could not be started."""
        if not self._started_command:
            if now_s < trigger.next_try_s and not self._wait:
                return None
            self._submitter.start(trigger.key, trigger.reason)
            self._started_command = True
            trigger.status, trigger.attempts = RUNNING, trigger.attempts + 1
            self._memory.write(self._state)
        ended = self._submitter.outcome(self._wait)
        if ended is None:
            return None
        self._started_command = False
        if ended.run:
            trigger.run, trigger.outcome, trigger.error = ended.run, ended.outcome, ended.error
            trigger.status = SUBMITTED if ended.outcome == "submitted" else ENDED
            self._log.note(self._now(), trigger.status, key=trigger.key, run=ended.run, outcome=ended.outcome,
                           reason=trigger.reason, error=ended.error)  # fmt: skip
            self._memory.write(self._state)
            return None
        trigger.status, trigger.error = DECIDED, ended.error
        trigger.next_try_s = now_s + min(30.0 * 2.0 ** min(trigger.attempts, 10), _LONGEST_RETRY_S)
        self._log.note(self._now(), "not_submitted", key=trigger.key, error=ended.error, exit_code=ended.exit_code)
        self._memory.write(self._state)
        if ended.exit_code == USAGE:
            raise Refused(f"the run's command line: {ended.error}", USAGE)
        return Looked("failed", error=ended.error, exit_code=ended.exit_code, trigger=trigger)
