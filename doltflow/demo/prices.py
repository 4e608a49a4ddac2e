"""Invented hospital prices with three months of history: the same on every machine and every Python.

Nothing here is real: the hospitals' names are made up, and so are their numbers (a real NPI begins with 1 or 2). What
is true to life is the shape: codes with leading zeros, commas, quotes and an `®`, codes that a broken export turned
into `nan,3`, prices that were never published, a name that ASCII cannot spell, an emoji.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

SEED = 20210115

# By state; the third hospital of each state, and all those of the last two states, join in February.
_NAMES = {
    "AL": ("Cahaba River Medical Center", "St. Brendan's Hospital of Mobile", "Wiregrass Women's & Children's"),
    "AZ": ("Saguaro Regional Hospital", "Peñasco Mesa Clinic", "Desert Willow Surgery, LLC"),
    "CA": ("Point Alder Medical Center", 'Hospital "La Esperanza"', "Sierra Foothill Community Hospital"),
    "FL": ("Banyan Key Hospital", "Lake Orange General", "Gulf Breeze Heart Institute"),
    "IL": ("Prairie State University Hospital", "O'Malley Memorial Hospital", "Fox Bend Rehabilitation"),
    "MI": ("Five Lakes Health - Lapeer Road", "Mackinac Straits General", "Copper Ridge Hospital"),
    "NY": ("Hudson Palisades Hospital", "St. Casimir's Medical Center", "Ten Eyck Institute of Medicine"),
    "PA": ("Three Rivers Mercy Hospital", "Susquehanna Spring Hospital", "Lehigh Gap Surgery & Rehabilitation"),
    "TX": ("Lone Oak Medical Center", "Pecos Bend Hospital", "Caprock Regional Hospital"),
    "WA": ("Cascade Lowlands Hospital", "Skagit Tide Medical Center", "Olympia Bay Children's"),
    "HI": ("ʻŌhiʻa Lehua Medical Center", "Windward Shore Hospital", "Kona Slopes Clinic"),
    "WY": ("Sweetgrass County Hospital", "Teton Basin Hospital", "Wind River Valley Clinic"),
}
_LATE_STATES = ("HI", "WY")

# Each with the percentage of the gross charge that it pays, from and to.
_PAYERS = {
    "gross charge": (100, 100),
    "discounted cash": (55, 70),
    "Blue Shield, PPO": (48, 80),
    "Medicare": (28, 42),
    "Workers' comp": (60, 95),
}

# The one treatment that has no list price anywhere in Wyoming: a group of prices that are all NULL.
_BY_ARRANGEMENT = ("Q2042", "WY")


class Hospital(NamedTuple):
    """One row of `hospitals`; the key is `npi_number`."""

    npi_number: str
    name: str
    state: str


class Price(NamedTuple):
    """One row of `prices`; the key is (`npi_number`, `code`, `payer`)."""

    npi_number: str
    code: str
    payer: str
    price: Decimal | None
    description: str


@dataclass(frozen=True)
class Snapshot:
    """Both tables as they were after one month's update, sorted by key.

    Attributes:
        date: When the update was committed, ISO 8601 in UTC.
        message: The commit's message.
        hospitals: All rows of `hospitals`.
        prices: All rows of `prices`.
    """

    date: str
    message: str
    hospitals: tuple[Hospital, ...]
    prices: tuple[Price, ...]


class _Procedure(NamedTuple):
    code: str
    description: str
    cents: int
    only_state: str = ""  # empty: any hospital may offer it
    first_month: int = 1


class _Dice:
    """Random whole numbers from `random.random()`, whose sequence is the one that Python promises never to change."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - prices, not secrets

    def between(self, low: int, high: int) -> int:
        return low + int(self._random.random() * (high - low + 1))

    def chance(self, percent: int) -> bool:
        return self.between(1, 100) <= percent


def snapshots(seed: int = SEED) -> Iterator[Snapshot]:
    """Yields the three months, oldest first.

    January has 20 hospitals. In February 16 more join, in March new procedures; in both, some prices are revised and a
    few withdrawn. `hospitals` does not change in March, so that the two tables are last changed by different commits.

    Args:
        seed: Another seed gives other prices.

    Yields:
        Each month's two tables, whole.
    """
    dice = _Dice(seed)
    procedures = _procedures(dice)
    hospitals = _hospitals()
    # Money is counted in whole cents and percentages: integers are the same everywhere.
    dearness = {state: dice.between(70, 150) for state in _NAMES}
    cents: dict[tuple[str, str, str], int | None] = {}
    descriptions = {procedure.code: procedure.description for procedure in procedures}
    for month, tables in enumerate(("hospitals and prices", "hospitals and prices", "prices"), start=1):
        _revise(cents, hospitals, dice)
        for hospital, joined in hospitals.items():
            if joined <= month:
                new = [p for p in procedures if max(joined, p.first_month) == month]
                _price_list(cents, hospital, new, dearness[hospital.state], dice)
        yield Snapshot(
            date=f"2021-{month:02}-15T09:00:00Z",
            message=f"Updating {tables} with changes from prices_2021_{month:02}.csv",
            hospitals=tuple(hospital for hospital, joined in hospitals.items() if joined <= month),
            prices=tuple(
                Price(
                    npi_number, code, payer, None if amount is None else Decimal(amount).scaleb(-2), descriptions[code]
                )
                for (npi_number, code, payer), amount in sorted(cents.items(), key=lambda item: item[0])
            ),
        )


def _hospitals() -> dict[Hospital, int]:
    """Every hospital, by number, with the month in which it joins."""
    joins = {}
    for i, (state, names) in enumerate(_NAMES.items()):
        for j, name in enumerate(names):
            late = state in _LATE_STATES or j == len(names) - 1
            joins[Hospital(f"9{i:02}{j}583{i * 7 + j * 3:03}", name, state)] = 2 if late else 1
    return dict(sorted(joins.items()))


def _procedures(dice: _Dice) -> list[_Procedure]:
    """Everything that can be on a price list, with what it costs on average."""

    def cost(low: int, high: int) -> int:
        return dice.between(low * 100, high * 100)

    parts = ("head", "neck", "chest", "shoulder", "elbow", "hand", "spine", "abdomen", "hip", "knee", "foot", "heart")
    imaging = ("X-ray", "CT without contrast", "CT with contrast", "MRI without contrast", "MRI with contrast", "PET")
    drugs = ("Cefazolin", "Heparin", "Insulin", "Ketorolac", "Morphine", "Ondansetron", "Rituximab", "Vancomycin")
    panels = ("Lipid", "Metabolic", "Thyroid", "Hepatitis", "Electrolyte", "Iron", "Allergy", "Coagulation")
    listed = [
        *(_Procedure(f"{100 + 23 * i:05}", f"Anesthesia, {p}", cost(300, 2500)) for i, p in enumerate(parts)),
        *(
            _Procedure(f"{70010 + 60 * i + 7 * j}", f"{kind}, {part}", cost(90 * (j + 1), 700 * (j + 1)))
            for i, part in enumerate(parts)
            for j, kind in enumerate(imaging)
        ),
        *(
            _Procedure(f"{80048 + 31 * i + j}", f"{panel} panel, {kind}", cost(15, 240))
            for i, panel in enumerate(panels)
            for j, kind in enumerate(("basic", "complete", "repeat"))
        ),
        *(
            _Procedure(f"J{1030 + 115 * i + j}", f"{drug}, injection, {dose}", cost(5, 900))
            for i, drug in enumerate(drugs)
            for j, dose in enumerate(("10 mg", "50 mg", "100 mg", "1 g"))
        ),
        *(
            _Procedure(f"{27000 + 130 * i + j}", f"{kind}, {part}", cost(2000 * (j + 1), 18000 * (j + 1)))
            for i, part in enumerate(parts[3:10])
            for j, kind in enumerate(("Arthroscopy", "Fracture repair", "Joint replacement"))
        ),
        *(_Procedure(f"0{i:03}A", f"Vaccine, dose {i}", cost(15, 60)) for i in range(1, 4)),
        *(_Procedure(f"CPT® 78710,{i}", "PET, whole body; see contract", cost(1500, 9000)) for i in range(103, 109)),
        *(_Procedure(f"HCPCS C1769,{15784 + i}", f"Guide wire no. {i}", cost(40, 900)) for i in range(8)),
        *(_Procedure(f'SPLINT {i}"', f'Splint, {i}" × 3", plaster', cost(20, 90)) for i in (4, 12, 18)),
        *(_Procedure(f"nan,{i}", "", cost(10, 4000)) for i in range(1, 10)),
        _Procedure("99381", "Well-baby visit 👶, new patient", cost(110, 320)),
        _Procedure("Q2042", "Gene therapy; price by arrangement", cost(380000, 520000)),
    ]
    # A brace that only one state lists: a variance between states does not exist.
    braces = (
        _Procedure(f"L1830-{i:02}", f"Knee brace, {state} contract", cost(60, 400), only_state=state)
        for i, state in enumerate(_NAMES)
    )
    telehealth = (
        _Procedure(f"G{2010 + i}", f"Telehealth visit, {10 * i} minutes", cost(40, 180), first_month=3)
        for i in range(1, 7)
    )
    return [*listed, *braces, *telehealth]


def _price_list(
    cents: dict[tuple[str, str, str], int | None],
    hospital: Hospital,
    procedures: list[_Procedure],
    dearness: int,
    dice: _Dice,
) -> None:
    """Adds the prices of those procedures that the hospital offers."""
    own = dice.between(85, 120)
    for procedure in procedures:
        offered = procedure.only_state == hospital.state or (not procedure.only_state and dice.chance(70))
        if not offered:
            continue
        gross = procedure.cents * dearness * own // 10_000
        for payer, (low, high) in _PAYERS.items():
            if payer != "gross charge" and dice.chance(35):
                continue  # no contract with that payer
            unpublished = dice.chance(4) or (procedure.code, hospital.state) == _BY_ARRANGEMENT
            share = dice.between(low, high)
            cents[hospital.npi_number, procedure.code, payer] = None if unpublished else gross * share // 100


def _revise(
    cents: dict[tuple[str, str, str], int | None],
    hospitals: dict[Hospital, int],
    dice: _Dice,
) -> None:
    """Revises some of the published prices and withdraws a few rows."""
    states = {hospital.npi_number: hospital.state for hospital in hospitals}
    for key in sorted(cents):
        amount = cents[key]
        if dice.chance(1):
            del cents[key]
        elif dice.chance(12):
            change = dice.between(94, 115)
            if amount is not None:
                cents[key] = amount * change // 100
            elif (key[1], states[key[0]]) != _BY_ARRANGEMENT:
                cents[key] = change * 100  # published at last
