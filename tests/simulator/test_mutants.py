"""The simulator catches every mutant, each of which breaks one rule of protocol.md."""

from __future__ import annotations

import pytest

from tests.simulator import scenarios, stream_scenarios
from tests.simulator.healing import heal
from tests.simulator.profile import USUAL, WILD, Profile
from tests.simulator.rules import BY_RULE, patches
from tests.simulator.scenarios import quiet_world
from tests.simulator.world import World

SCENARIOS = scenarios.SCENARIOS | stream_scenarios.SCENARIOS
SEEDS = 60
STEPS = 400
DIRECTED = Profile(storm=WILD, faults=USUAL)


def killed(profile: Profile) -> str | None:
    """The first violation that a mutant shows within the bounded seeds."""
    for seed in range(SEEDS):
        with World(seed, profile) as world:
            world.run(STEPS)
            if not world.violations:
                heal(world)
            if world.violations:
                return f"seed {seed}: {world.violations[0]}"
    return None


@pytest.mark.parametrize("rule", BY_RULE)
def test_the_simulator_notices(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With this rule switched off, its scenario or some seed shows a violation that the library itself does not."""
    for patch in patches(rule):
        monkeypatch.setattr(*patch)
    if rule in SCENARIOS:
        with quiet_world() as world:
            SCENARIOS[rule](world)
            assert world.violations, rule
    else:
        assert killed(DIRECTED), rule


@pytest.mark.parametrize("rule", SCENARIOS)
def test_the_library_holds_in_the_scenario(rule: str) -> None:
    """With every rule as it is, the scenario that catches a mutant shows nothing."""
    with quiet_world() as world:
        SCENARIOS[rule](world)
        assert not world.violations
