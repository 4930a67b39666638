"""The rule: its limits in a file or on the command line, shown as it would be read, and what is no rule."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from brakeline import rule
from brakeline.refusals import Refused
from brakeline.rule import Rule

from tests.conftest import command


def test_what_is_shown_is_what_is_read(tmp_path: Path) -> None:
    """--show-rule prints a file of the rule; given back it is the same rule, and options win over the file."""
    words = ("--psi", "0.1", "--widening-m", "off", "--coverage", "off", "--for", "1h", "--min-rows", "50")
    shown = command("brakeline", "watch", "--show-rule", *words)
    assert shown.code == 0, shown.stderr
    file = tmp_path / "rule.yaml"
    file.write_text(shown.stdout)
    found = rule.read(file, {})
    assert found == Rule(psi=0.1, widening_m=None, coverage=False, for_s=3600.0, rows=50)
    again = command("brakeline", "watch", "--show-rule", "--rule", file, "--cooldown", "90s", "--json")
    assert again.result == {**yaml.safe_load(shown.stdout), "widening_m": "off", "coverage": "off", "cooldown": "90s"}


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("1.5h", 5400), ("7d", 604800), ("0", 0)])
def test_times_have_a_unit(text: str, seconds: float) -> None:
    """Seconds, minutes, hours, days; and what is written is read again."""
    assert rule.duration(text) == seconds
    assert rule.duration(rule.duration_text(seconds)) == seconds


BAD = {
    "psy: 0.2": ("unknown 'psy'", "allowed psi, out_of_range, widening_m, coverage, for, window, min_rows, cooldown"),
    "psi: -1": ("psi: found '-1'", "above 0, or off"),
    "psi: .nan": ("psi: found 'nan'", "above 0"),
    "psi: [1]": ("psi: found '[1]'", "above 0"),
    "psi: true": ("psi: found 'True'", "above 0"),
    "out_of_range: 2": ("out_of_range: found '2'", "a share"),
    "for: 15": ("for: found '15'", "15m"),
    "window: 0s": ("window: found '0s'", "above 0"),
    "window: 20m": ("window: found 20m, longer than for, 15m", "burst"),
    "min_rows: 1.5": ("min_rows: found '1.5'", "whole number"),
    "coverage: 0.99": ("coverage: found '0.99'", "on or off"),
    "cooldown: null": ("cooldown: found 'None'", "24h"),
    "- psi": ("found list", "keys with values"),
    "psi: [": ("cannot read", "rule.yaml"),
}


@pytest.mark.parametrize("text", BAD)
def test_a_rule_that_is_none_is_a_usage_error(text: str, tmp_path: Path) -> None:
    """The file, the key, what was found and what is allowed."""
    file = tmp_path / "rule.yaml"
    file.write_text(text)
    with pytest.raises(Refused) as caught:
        rule.read(file, {})
    assert caught.value.exit_code == 2
    for word in BAD[text]:
        assert word in str(caught.value)


def test_the_command_says_what_it_cannot_use(tmp_path: Path) -> None:
    """2 for a bad option, an unknown place, stops that are not there, and no server."""
    for words, told in (
        (("--psi", "much"), "psi: found 'much'"),
        (("--to", "moon"), "local, cluster"),
        (("--recorded", "none.csv"), "no such file"),
        (("--interval", "5"), "15m"),
        (("--server", "127.0.0.1:1"), "http://host:port"),
        (("--token-file", tmp_path / "none"), "--token-file"),
        (("--server", "http://192.0.2.1", "--token-file", __file__), "allowed https beyond this machine"),
    ):
        given = ("--server", "http://127.0.0.1:1") if "--server" not in words else ()
        done = command("brakeline", "watch", "--once", "--state", tmp_path / "state", *given, *words)
        assert done.code == 2, (words, done.stderr)
        assert told in done.stderr.replace("│", "").replace("\n", ""), words
    assert command("brakeline", "watch", "--once", "--state", tmp_path / "state").code == 2
