"""Places and their carbon intensity."""

from __future__ import annotations

import pytest

from trimtab_monitor.pricing.places import PlaceError, lookup, places, reading_notes


@pytest.mark.parametrize(
    ("place", "key", "g_per_kwh"),
    [
        ("FR", "FR", 44.18),
        ("fra", "FR", 44.18),
        (" France ", "FR", 44.18),
        ("NA", "NA", 59.26),
        ("GA", "GA", 429.47),
        ("US-GA", "US-GA", 325.43),
        ("texas", "US-TX", 349.80),
        ("US", "US", 383.55),
        ("egrid:us", "egrid:US", 349.67),
        ("aws:us-east-1", "aws:us-east-1", 244.76),
        ("us-east-1", "aws:us-east-1", 244.76),
        ("us-east1", "gcp:us-east1", 575.77),
        ("UK", "GB", 210.89),
        ("türkiye", "TR", 469.7),
        ("Washington DC", "US-DC", 179.17),
        ("EastUS", "azure:eastus", 244.76),
    ],
)
def test_a_place_may_be_written_in_several_ways(place: str, key: str, g_per_kwh: float) -> None:
    assert (lookup(place).key, lookup(place).g_per_kwh) == (key, g_per_kwh)


def test_every_place_of_the_list_can_be_given_as_it_is_listed() -> None:
    assert len(places()) == 381
    assert all(lookup(place.key) is place for place in places())


def test_two_letters_are_a_country_and_that_is_said() -> None:
    assert reading_notes("GA") == ["GA is the country Gabon; the US state is US-GA"]
    assert reading_notes("Gabon") == reading_notes("US-GA") == reading_notes("FR") == []


def test_a_name_of_two_places_is_not_guessed() -> None:
    with pytest.raises(
        PlaceError, match=r"'Georgia' could be GE \(Georgia, country\), US-GA \(Georgia, us state\)"
    ):
        lookup("Georgia")


@pytest.mark.parametrize(
    ("place", "near"), [("Frnace", "FR"), ("us-eas-1", "aws:us-east-1"), ("paris", "Paris")]
)
def test_an_unknown_place_names_what_is_near_and_how_to_list(place: str, near: str) -> None:
    with pytest.raises(PlaceError, match=f"'{place}' is not in the table .*{near}.*trimtab doctor --places"):
        lookup(place)


def test_a_value_that_cannot_be_is_refused() -> None:
    with pytest.raises(PlaceError, match=r"Central African Republic.*cannot be; give intensity_g_per_kwh"):
        lookup("CF").usable()


def test_what_is_stale_or_derived_is_said() -> None:
    assert "of 2009" in reading_notes("EH")[0]
    assert "that of US-VA is used" in reading_notes("us-east-1")[0]


def test_places_are_found_by_a_word() -> None:
    assert [place.key for place in places("paris")] == [
        "gcp:europe-west9",
        "aws:eu-west-3",
        "azure:francecentral",
    ]


def test_a_place_is_listed_by_its_other_names_too() -> None:
    assert [place.key for place in places("Holland")] == ["NL"]
    assert {"GB", "UA"} <= {place.key for place in places("UK")}
