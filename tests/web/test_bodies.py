"""Places for bodies: how many a worker reads concurrently, and that no single address can hold them all."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tokenserver.errors import Overloaded
from tokenserver.exchange.admission import MAX_BODIES, MAX_BODIES_PER_CLIENT
from tokenserver.web.bodies import BodyPlaces, Place

ANN, BEN, EVE = map(ip_address, ("192.0.2.1", "192.0.2.2", "192.0.2.3"))


def is_refused(places: BodyPlaces, address: object) -> bool:
    """Whether there is no place for one more body of this client."""
    try:
        places.take(address).leave()  # type: ignore[arg-type]
    except Overloaded as error:
        return error.retry_after == 1
    return False


def test_one_address_has_its_part() -> None:
    """What one client holds is gone for that one alone, until it is given back."""
    places = BodyPlaces(total=10, each=3)
    held = [places.take(EVE) for _ in range(3)]
    assert is_refused(places, EVE)
    assert not is_refused(places, ANN)
    held.pop().leave()
    assert not is_refused(places, EVE)


def test_all_places_are_bounded() -> None:
    """Many addresses together never hold more than all."""
    places = BodyPlaces(total=4, each=3)
    held = [places.take(one) for one in (ANN, ANN, BEN, BEN)]
    assert is_refused(places, EVE)
    held[0].leave()
    assert not is_refused(places, EVE)
    assert places.taken == 3


def test_an_unknown_client_has_the_part_of_one_address() -> None:
    """Clients without an address are counted together."""
    places = BodyPlaces(total=10, each=2)
    _held = [places.take(None), places.take(None)]
    assert is_refused(places, None)
    assert not is_refused(places, ANN)


def test_an_ipv6_network_is_one_client() -> None:
    """A client with one address of a /64 has all of them."""
    places = BodyPlaces(total=10, each=2)
    _held = [places.take(ip_address(f"2001:db8::{number}")) for number in (1, 2)]
    assert is_refused(places, ip_address("2001:db8::3"))
    assert not is_refused(places, ip_address("2001:db8:0:1::3"))


def test_a_place_is_given_back_once() -> None:
    """However often; also by an error inside."""
    places = BodyPlaces(total=2, each=2)
    place: Place = places.take(ANN)
    with pytest.raises(ZeroDivisionError), place:
        raise ZeroDivisionError
    place.leave()
    assert places.taken == 0
    assert [is_refused(places, ANN) for _ in range(3)] == [False] * 3


def test_four_addresses_fill_a_worker() -> None:
    """The numbers themselves: less than a third of all for one address."""
    assert MAX_BODIES_PER_CLIENT * 3 < MAX_BODIES
