"""Slots of servers in the table, against moto's server."""

import asyncio

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings
from image_gateway.slots.occupancy import LEASE_SECONDS, PROBATION_SECONDS, Holder, Occupancy
from image_gateway.slots.store import SlotStore, Taken
from tests.counting_aws import CountingAws
from tests.unit.slots.slot_clock import SlotClock

pytestmark = pytest.mark.anyio

SERVER = "automatic1111#http://10.0.0.1:7860"


def holder(name: str, now: float, owner: str = "token:1") -> Holder:
    return Holder(name, owner, f"job-{name}", now, now, 1, now + LEASE_SECONDS)


def names(occupancy: Occupancy) -> set[str]:
    return {each.id for each in occupancy.holders}


async def take(store: SlotStore, name: str, limit: int = 1, owner: str = "token:1") -> Taken | Occupancy:
    return await store.take(SERVER, limit, holder(name, store.now(), owner))


@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_as_many_of_twelve_writers_succeed_as_there_are_slots(store: SlotStore, limit: int) -> None:
    """The others learn who has the slots, with which jobs, and until when."""
    outcomes = await asyncio.gather(*(take(store, f"{number}", limit) for number in range(12)))

    taken = {str(number) for number, outcome in enumerate(outcomes) if isinstance(outcome, Taken)}
    refused = [outcome for outcome in outcomes if isinstance(outcome, Occupancy)]
    assert (len(taken), len(refused)) == (limit, 12 - limit)
    expected = {(name, f"job-{name}", store.now() + LEASE_SECONDS) for name in taken}
    for occupancy in refused:
        assert {(each.id, each.job_id, each.lease_until) for each in occupancy.holders} == expected


async def test_looking_at_a_full_server_is_one_write(store: SlotStore, counting_aws: CountingAws) -> None:
    """The refused write returns who has the slots, so nothing is read."""
    await take(store, "a")
    counting_aws.operations.clear()

    assert isinstance(await take(store, "b"), Occupancy)

    assert counting_aws.calls == {"UpdateItem": 1}


async def test_a_released_slot_is_free(store: SlotStore) -> None:
    """The next holder also gets what was learned about the duration of jobs."""
    await take(store, "a")

    await store.release(SERVER, "a", 12.5)

    taken = await take(store, "b")
    assert isinstance(taken, Taken)
    assert (names(taken.occupancy), taken.occupancy.job_seconds, taken.replaces_dead) == ({"b"}, 12.5, False)


async def test_a_slot_is_released_only_by_its_holder(store: SlotStore) -> None:
    """A release that comes late or twice frees no other holder's slot."""
    await take(store, "a")

    await store.release(SERVER, "b", 1.0)

    assert isinstance(await take(store, "c"), Occupancy)


async def test_servers_have_slots_of_their_own(store: SlotStore) -> None:
    """The slots of one server do not limit another one."""
    await take(store, "a")

    assert isinstance(await store.take("another", 1, holder("b", store.now())), Taken)


async def test_the_slot_of_a_dead_holder_is_free_after_about_a_minute(store: SlotStore, clock: SlotClock) -> None:
    """Its lease runs out, another process notices that, and it does not renew its lease in the probation either."""
    await take(store, "dead")
    outcomes = []

    for _ in range(13):
        clock.seconds += 5
        outcomes.append(await take(store, "b"))
        if isinstance(outcomes[-1], Taken):
            break

    taken = outcomes[-1]
    assert isinstance(taken, Taken)
    assert (names(taken.occupancy), taken.replaces_dead) == ({"b"}, True)
    assert 5 * len(outcomes) == LEASE_SECONDS + PROBATION_SECONDS + 5


async def test_one_of_twelve_writers_replaces_a_dead_holder(store: SlotStore, clock: SlotClock) -> None:
    """Nobody removes the holder that has just replaced the dead one."""
    await take(store, "dead")
    clock.seconds += LEASE_SECONDS + 1
    await take(store, "first to notice")
    clock.seconds += PROBATION_SECONDS

    outcomes = await asyncio.gather(*(take(store, f"{number}") for number in range(12)))

    assert sum(isinstance(outcome, Taken) for outcome in outcomes) == 1


async def test_a_holder_that_could_not_renew_its_lease_keeps_its_slot(store: SlotStore, clock: SlotClock) -> None:
    """While the table is unavailable, for however long, nobody dies: afterwards holders have time to renew."""
    await take(store, "a")
    clock.seconds += 3600

    assert isinstance(await take(store, "b"), Occupancy)
    clock.seconds += PROBATION_SECONDS - 1
    assert isinstance(await take(store, "b"), Occupancy)
    assert await store.renew(SERVER, holder("a", clock.now()), None)
    clock.seconds += 2

    refused = await take(store, "b")
    assert isinstance(refused, Occupancy)
    assert [(each.id, each.suspected_at) for each in refused.holders] == [("a", None)]


async def test_a_holder_that_was_replaced_learns_it_by_its_renewal(store: SlotStore, clock: SlotClock) -> None:
    """Its renewal changes nothing."""
    await take(store, "a")
    clock.seconds += LEASE_SECONDS + 1
    await take(store, "b")
    clock.seconds += PROBATION_SECONDS
    assert isinstance(await take(store, "b"), Taken)

    assert await store.renew(SERVER, holder("a", clock.now()), None) is None

    refused = await take(store, "c")
    assert isinstance(refused, Occupancy)
    assert names(refused) == {"b"}


async def test_a_lower_limit_applies_to_slots_that_are_taken(store: SlotStore, clock: SlotClock) -> None:
    """No slot is free until fewer are taken than the new limit allows, also where one of the holders is dead."""
    for name in ("a", "b", "dead"):
        await take(store, name, limit=3)
    clock.seconds += LEASE_SECONDS + 1
    for name in ("a", "b"):
        await store.renew(SERVER, holder(name, clock.now()), None)
    await take(store, "c", limit=2)
    clock.seconds += PROBATION_SECONDS

    assert isinstance(await take(store, "c", limit=2), Occupancy)
    await store.release(SERVER, "a", 1.0)
    taken = await take(store, "c", limit=2)

    assert isinstance(taken, Taken)
    assert names(taken.occupancy) == {"b", "c"}


async def test_the_item_expires_long_after_its_last_use(store: SlotStore, aws: Aws, settings: Settings) -> None:
    """DynamoDB removes the items of servers that are no longer used."""
    await take(store, "a")

    item = await aws.call("dynamodb", "GetItem", TableName=settings.table, Key={"pk": {"S": f"slots#{SERVER}"}})

    assert int(item["Item"]["expires_at"]["N"]) == store.now() + 30 * 86_400


async def test_a_table_that_fails_is_an_error(aws: Aws, settings: Settings, clock: SlotClock) -> None:
    """No slot is held then."""
    store = SlotStore(aws, settings.model_copy(update={"table": "no-such-table"}), now=clock.now)

    with pytest.raises(StorageUnavailable, match="slot"):
        await take(store, "a")


async def test_the_next_slot_is_reserved_for_an_owner_who_has_none(store: SlotStore, clock: SlotClock) -> None:
    """However many jobs the owner of the slot has, a job of another owner gets the next one."""
    await take(store, "a1", owner="a")
    refused = await take(store, "b1", owner="b")
    assert isinstance(refused, Occupancy)
    assert (refused.wanted_by, names(refused)) == ("b", {"a1"})

    await store.release(SERVER, "a1", 10)
    clock.seconds += refused.expected_wait("b", clock.now())

    assert isinstance(await take(store, "a2", owner="a"), Occupancy)
    taken = await take(store, "b1", owner="b")
    assert isinstance(taken, Taken)
    assert (taken.occupancy.wanted_by, names(taken.occupancy)) == (None, {"b1"})


async def test_owners_with_many_jobs_get_slots_in_turn(store: SlotStore) -> None:
    """The owner who had the slot waits for the other one."""
    await take(store, "first", owner="a")
    holds, order = "first", "a"
    for number in range(6):
        for owner in ("a", "a", "b"):
            await take(store, f"{owner}{number}", owner=owner)
        await store.release(SERVER, holds, 10)
        for owner in ("a", "b"):
            holds = f"{owner}-{number}"
            if isinstance(await take(store, holds, owner=owner), Taken):
                order += owner
                break

    assert order == "abababa"


async def test_a_reservation_lapses(store: SlotStore, clock: SlotClock) -> None:
    """A job that does not come back does not stop the others."""
    await take(store, "a1", owner="a")
    refused = await take(store, "b1", owner="b")
    assert isinstance(refused, Occupancy)
    await store.release(SERVER, "a1", 10)

    clock.seconds = refused.wanted_until + 1

    assert isinstance(await take(store, "a2", owner="a"), Taken)


async def test_a_reservation_is_not_replaced(store: SlotStore) -> None:
    """A third owner waits for its turn."""
    await take(store, "a1", owner="a")
    await take(store, "b1", owner="b")

    refused = await take(store, "c1", owner="c")

    assert isinstance(refused, Occupancy)
    assert refused.wanted_by == "b"


async def test_an_owner_who_has_a_slot_reserves_none(store: SlotStore, counting_aws: CountingAws) -> None:
    """Its other slots are taken as they become free."""
    await take(store, "a1", 2, owner="a")
    await take(store, "b1", 2, owner="b")
    counting_aws.operations.clear()

    refused = await take(store, "b2", 2, owner="b")

    assert isinstance(refused, Occupancy)
    assert refused.wanted_by is None
    assert counting_aws.calls == {"UpdateItem": 1}
