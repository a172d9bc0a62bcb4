"""The order in which the targets of a route are tried."""

import random
from collections import Counter
from dataclasses import replace

from image_gateway.errors import NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.routing.destination import Destination
from image_gateway.routing.plan import Plan
from image_gateway.routing.selection import in_order


def destination(number: int, *, slots: int | None = None, weight: int = 1) -> Destination:
    config = ImagesConfig(COMFYUI_BASE_URL=f"http://10.0.0.{number}:8188")
    return Destination(
        engine="comfyui", model=None, config=config, stored_connection=f"gpu-{number}", target=number, slots=slots,
        weight=weight,
    )  # fmt: skip


def plan(strategy: str, *destinations: Destination) -> Plan:
    return Plan(destinations=destinations, route="r", strategy=strategy)


def order(chosen: list[Destination]) -> list[int | None]:
    return [each.target for each in chosen]


def test_ordered_targets_keep_their_order() -> None:
    """It is the operator's."""
    assert order(in_order(plan("ordered", *(destination(n) for n in range(4))))) == [0, 1, 2, 3]


def test_weighted_targets_are_drawn_by_their_weight() -> None:
    """The others follow in their order. A weight of 0 is only a fallback."""
    route = plan("weighted", destination(0, weight=9), destination(1, weight=1), destination(2, weight=0))
    draw = random.Random(1).random

    orders = [order(in_order(route, draw=draw)) for _ in range(1000)]

    firsts = Counter(each[0] for each in orders)
    assert 870 < firsts[0] < 930
    assert firsts[2] == 0
    assert {tuple(each) for each in orders} == {(0, 1, 2), (1, 0, 2)}


def test_a_draw_at_the_very_end_hits_the_last_target_with_a_weight() -> None:
    """Rounding does not choose a target without one."""
    route = plan("weighted", destination(0, weight=3), destination(1, weight=0))

    assert order(in_order(route, draw=lambda: 1.0)) == [0, 1]


def test_the_server_with_most_free_slots_is_the_first() -> None:
    """A server without a limit is always free, and a target that cannot be used is the last."""
    broken = replace(destination(3), problem=NotConfigured("gone"))
    one, two, three = destination(0, slots=1), destination(1, slots=4), destination(2)
    free = {one.server: 0, two.server: 2}

    assert order(in_order(plan("least_busy", broken, one, two, three), free)) == [2, 1, 0, 3]


def test_servers_that_are_equally_busy_are_drawn() -> None:
    """A row of requests does not begin with the same one each time. A server that nobody has used is free."""
    route = plan("least_busy", *(destination(n, slots=1) for n in range(4)))
    draw = random.Random(1).random

    firsts = Counter(order(in_order(route, {}, draw=draw))[0] for _ in range(400))

    assert all(70 < firsts[number] < 130 for number in range(4))
