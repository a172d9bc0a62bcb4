"""How long a job waits that finds no free slot."""

import pytest

from image_gateway.slots.occupancy import (
    DEFAULT_JOB_SECONDS,
    LEASE_SECONDS,
    MAX_WAIT_SECONDS,
    MIN_WAIT_SECONDS,
    PROBATION_SECONDS,
    QUANTUM_SECONDS,
    Holder,
    Occupancy,
)

NOW = 1_800_000_000.0


def holder(
    *, started: float, jobs: int = 1, lease: float = LEASE_SECONDS, suspected: float | None = None, taken: float = 0
) -> Holder:
    """A holder whose job started so many seconds ago, and whose lease has so many seconds left."""
    suspected_at = None if suspected is None else NOW - suspected
    return Holder("h", "a", "j", NOW - max(taken, started), NOW - started, jobs, NOW + lease, suspected_at)


@pytest.mark.parametrize(
    ("holders", "job_seconds", "expected"),
    [
        ([holder(started=10)], 60, 50),
        ([holder(started=10, jobs=4)], 60, 230),
        ([holder(started=0), holder(started=45)], 60, 15),
        ([holder(started=0)], None, DEFAULT_JOB_SECONDS),
        ([holder(started=85)], 60, 25),
        ([holder(started=600)], 60, 60),
        ([holder(started=59.5)], 60, MIN_WAIT_SECONDS),
        ([holder(started=0, jobs=100)], 60, MAX_WAIT_SECONDS),
        ([holder(started=10, lease=-1)], 600, PROBATION_SECONDS),
        ([holder(started=10, lease=-16, suspected=15)], 600, PROBATION_SECONDS - 15),
        ([], 60, MIN_WAIT_SECONDS),
    ],
    ids=[
        "one job", "four jobs", "the first slot", "nothing learned", "overdue", "long overdue", "almost free",
        "too long", "expired", "suspected", "released meanwhile",
    ],
)  # fmt: skip
def test_a_job_waits_until_a_slot_is_expected_to_be_free(
    holders: list[Holder], job_seconds: float | None, expected: float
) -> None:
    """The wait has jitter, so that jobs that wait together do not all come back at once."""
    occupancy = Occupancy(tuple(holders), job_seconds)

    waits = {occupancy.wait_seconds("a", NOW) for _ in range(50)}

    assert all(0.9 * expected <= wait <= 1.2 * expected for wait in waits)
    assert len(waits) > 1


@pytest.mark.parametrize(
    ("taken_by", "owner", "expected"),
    [
        (holder(started=10, jobs=20), "b", QUANTUM_SECONDS - 10),
        (holder(started=5, taken=100, jobs=9), "b", 15),
        (holder(started=5, jobs=2), "b", 35),
        (holder(started=5, jobs=2), "c", 35 + 20),
        (holder(started=5, jobs=2), "a", 35 + 20),
    ],
    ids=["quantum", "one more job", "all jobs", "another owner's turn", "the holder's owner"],
)
def test_an_owner_for_whom_the_next_slot_is_reserved_waits_for_less(
    taken_by: Holder, owner: str, expected: float
) -> None:
    """The holder's jobs of 20 s give way after a while. Everybody else waits for the reserved turn too."""
    occupancy = Occupancy((taken_by,), 20, wanted_by="b", wanted_until=NOW + 100)

    assert occupancy.expected_wait(owner, NOW) == expected
