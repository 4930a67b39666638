"""Scenarios: presets that load, a mixture that is what the file says, and errors that name field and value."""

import numpy as np
import pytest
import yaml
from brakeline_synthesize import drives, faults, generate, scenario, surfaces, vehicles
from stepkit.errors import UsageError

from tests.conftest import command


def changed(**fields: object) -> str:
    """The default scenario as YAML with other fields."""
    return str(yaml.safe_dump({**yaml.safe_load(scenario.load("default").to_json()), **fields}))


@pytest.mark.parametrize("name", scenario.PRESETS)
def test_presets_are_whole_and_their_json_is_a_scenario_too(name: str) -> None:
    """Name and file agree, every fault of the catalogue has a share, canonical JSON gives the same scenario."""
    preset = scenario.load(name)
    assert preset.name == name
    assert set(preset.faults) == set(faults.NAMES)
    assert scenario.load(preset.to_json()) == preset


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"grade_sd": "steep"}, r"Expected `float`, got `str` - at `\$.grade_sd`: found 'steep'"),
        ({"grade_sd": 0.5}, r"Expected `float` <= 0.08 - at `\$.grade_sd`: found 0.5"),
        ({"surfaces": {"dry": 0.5}}, "surfaces: found shares that add up to 0.5, allowed 1"),
        ({"surfaces": {"mud": 1.0}}, "surfaces: found mud, allowed dry, wet, snow, ice"),
        ({"faults": {"speed_melted": 0.1}}, "faults: found speed_melted, allowed speed_stuck"),
        ({"faults": {"speed_stuck": 0.6, "rain_stuck": 0.6}}, "add up to 1.2, allowed at most 1"),
        ({"wnid_sd_mps": 3.0}, "unknown field `wnid_sd_mps`"),
        (
            {"roads": {"city": {"share": 1.0, "speed_mps": 300, "sd_mps": 3}}},
            r"<= 45.0 - at `\$.roads\[...\].speed_mps`",
        ),
    ],
)
def test_errors_name_field_value_and_what_is_allowed(fields: dict[str, object], told: str) -> None:
    """What a person got wrong is told in one line, and it is a usage error."""
    with pytest.raises(UsageError, match=told) as refused:
        scenario.load(changed(**fields))
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "told"), [("autumn", "allowed city, default"), ("a: [", "no YAML"), ("a: b", "unknown field `a`")]
)
def test_what_is_no_scenario_is_refused(text: str, told: str) -> None:
    """An unknown name lists the presets; broken YAML says where."""
    with pytest.raises(UsageError, match=told):
        scenario.load(text)


def test_the_mixture_is_what_the_file_says() -> None:
    """Shares of surfaces and classes within four standard errors; the mean load where it should be."""
    winter = scenario.load("winter")
    seen = drives.sample(np.random.default_rng(2), winter, 0, 20_000)
    for names, index, shares in (
        (surfaces.NAMES, seen.surface, winter.surfaces),
        (vehicles.NAMES, seen.vehicle_class, winter.vehicles),
    ):
        for number, name in enumerate(names):
            share = shares[name]
            assert np.mean(index == number) == pytest.approx(share, abs=4 * np.sqrt(share / 20_000)), name
    dry_cars = (seen.surface == 0) & (seen.vehicle_class == 1)
    assert np.median(seen.air_temperature_c[dry_cars]) == pytest.approx(winter.air_c.dry, abs=1.0)


def test_presets_differ_as_their_names_say() -> None:
    """City is slow, motorway fast, winter slippery."""
    speed, grip = dict[str, float](), dict[str, float]()
    for name in scenario.PRESETS:
        seen = drives.sample(np.random.default_rng(3), scenario.load(name), 0, 4_000)
        speed[name], grip[name] = float(np.median(seen.stop.speed_mps)), float(np.mean(seen.stop.friction))
    assert speed["city"] < speed["default"] < speed["motorway"]
    assert grip["winter"] == min(grip.values())


def test_a_scenario_of_ones_own_goes_through_the_command_line(tmp_path: object) -> None:
    """YAML as the option's value; a wrong one ends with 2 and makes nothing."""
    words = ("brakeline-synthesize", "generate", "--rows", "500", "--holdout-rows", "500", "--faulty-rows", "500")
    text = changed(name="black-ice", surfaces={"ice": 1.0})
    done = command(*words, "--part", f"{tmp_path}/part", "--scenario", text)
    assert done.code == 0, done.stderr
    assert done.result["artifacts"]["part"]["metadata"]["scenario"] == "black-ice"
    done = command(*words, "--part", f"{tmp_path}/other", "--scenario", "autumn")
    assert done.code == 2
    assert "allowed city, default, motorway, winter" in done.stderr


def test_only_ice_is_only_ice() -> None:
    """A share of 0 is none at all."""
    icy = scenario.load(changed(surfaces={"ice": 1.0}))
    block = generate.make_block(generate.Call(icy, dict.fromkeys(generate.SETS, 1_000), 0), "dataset", 0)
    assert set(block["surface"]) == {"ice"}
