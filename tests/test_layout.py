"""The import contracts leave no room out, so that a new room cannot be built beside them."""

import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
ENTRY_POINTS = {"scripts", "cli"}


def rooms() -> set[str]:
    return {path.parent.name for path in (REPOSITORY / "flag_trl").glob("*/__init__.py")} - ENTRY_POINTS


def forbidden_rooms() -> dict[str, set[str]]:
    """For each room with a contract of its own, the rooms and entry points that it may not import."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts: dict[str, set[str]] = {}
    for contract in settings["contracts"]:
        targets = {name.removeprefix("flag_trl.") for name in contract["forbidden_modules"]}
        if len(contract["source_modules"]) == 1 and targets & (rooms() | ENTRY_POINTS):
            contracts[contract["source_modules"][0].removeprefix("flag_trl.")] = targets
    return contracts


def test_every_room_has_a_contract() -> None:
    assert set(forbidden_rooms()) == rooms()


def test_no_room_may_import_an_entry_point() -> None:
    for room, forbidden in forbidden_rooms().items():
        assert forbidden >= ENTRY_POINTS, room


def test_what_the_contracts_allow_holds_no_circle() -> None:
    allowed = {room: rooms() - forbidden - {room} for room, forbidden in forbidden_rooms().items()}
    order = list(TopologicalSorter(allowed).static_order())
    assert set(order) == rooms()
