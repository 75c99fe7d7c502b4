"""Cost per token, as both of its parts."""

from __future__ import annotations


def units(books):
    """(nano, tokens) by team, model, token kind and basis."""
    return {
        tuple(key): (nano, tokens)
        for *key, nano, tokens in books.session.rows(
            "SELECT team, model_id, token_kind, basis, effective_cost_nano, consumed_tokens "
            "FROM attribution.unit_cost_monthly JOIN book.model USING (model_no)"
        )
    }


def test_usage_allocation_and_fully_loaded(books):
    """Usage is what tokens cost; allocation spreads idle and overhead by that; fully loaded puts it all over output."""
    books.policy("proportional")
    books.shared("s")
    books.rule(1, "a", principal="a")
    caller = books.caller("a")
    books.charge(0, 10, tokens=100, caller=caller, kind="uncached_input")
    books.charge(0, 20, tokens=10, caller=caller, kind="output")
    books.charge(1, 30, tokens=20, caller=caller, kind="reasoning")
    books.charge(1, 40, tokens=5, caller=caller, kind="cache_read", model="n")
    books.idle(0, 51)
    books.overhead(0, 50, "s")
    books.run()

    assert units(books) == {
        ("a", "m", "uncached_input", "usage"): (10, 100),
        ("a", "m", "uncached_input", "allocation"): (20, 100),
        ("a", "m", "output", "usage"): (20, 10),
        ("a", "m", "output", "allocation"): (40, 10),
        ("a", "m", "reasoning", "usage"): (30, 20),
        ("a", "m", "reasoning", "allocation"): (60, 20),
        ("a", "n", "cache_read", "usage"): (40, 5),
        ("a", "n", "cache_read", "allocation"): (81, 5),
        ("a", "m", "output", "fully_loaded_output"): (120, 30),
    }


def test_an_owners_idle_is_part_of_its_allocation(books):
    """What an owner bears of its own deployment's idle loads its tokens like settled idle."""
    books.deployment("own", "p", owner="o")
    books.charge(0, 10, tokens=10, caller=books.caller("k"), deployment="own")
    books.idle(0, 5, deployment="own")
    books.run()

    assert units(books) == {
        ("o", "m", "output", "usage"): (10, 10),
        ("o", "m", "output", "allocation"): (15, 10),
        ("o", "m", "output", "fully_loaded_output"): (15, 10),
    }


def test_unpriced_tokens_do_not_thin_the_price(books):
    """Tokens without a price are not in the quotient, and free tokens are, at 0."""
    caller = books.caller("k")
    books.charge(0, 10, tokens=10, caller=caller)
    books.charge(0, None, tokens=90, caller=caller, pool="", deployment="", cause="unplaced")
    books.charge(0, 0, tokens=7, caller=caller, kind="cache_read")
    books.run()

    found = units(books)

    assert found["__unmapped__", "m", "output", "usage"] == (10, 10)
    assert found["__unmapped__", "m", "cache_read", "allocation"] == (0, 7)


def test_what_no_token_paid_for_is_spread_over_none(books):
    """A team whose tokens cost nothing keeps a price of 0, though it bears overhead."""
    books.shared("s", "even")
    books.charge(0, 0, tokens=10, caller=books.caller("k"))
    books.overhead(0, 5, "s")
    books.run()

    assert set(units(books).values()) == {(0, 10)}


def test_remainders_follow_names_of_models(books):
    """A nano that does not divide goes by model name, then token kind, whatever numbers models have."""
    books.shared("s")
    caller = books.caller("k")
    books.charge(0, 1, tokens=1, caller=caller, model="z")
    books.charge(0, 1, tokens=1, caller=caller, model="a")
    books.charge(0, 1, tokens=1, caller=caller, model="a", kind="cache_write")
    books.overhead(0, 2, "s")
    books.run()

    loaded = {key[1:3]: nano for key, (nano, _) in units(books).items() if key[3] == "allocation"}
    assert loaded == {("z", "output"): 1, ("a", "output"): 2, ("a", "cache_write"): 2}


def test_what_others_served_bears_no_idle_of_ours(books):
    """Idle and overhead load the tokens of one's own GPUs; those of an external provider cost what they cost."""
    books.policy("proportional")
    books.rule(1, "a", principal="a")
    caller = books.caller("a")
    books.charge(0, 10, tokens=10, caller=caller)
    books.charge(
        0, 90, tokens=10, caller=caller, model="api", provider="openai", pool="", deployment="", cost_kind="external"
    )
    books.idle(0, 7)
    books.run()
    found = units(books)

    assert found["a", "m", "output", "allocation"] == (17, 10)
    assert found["a", "api", "output", "allocation"] == found["a", "api", "output", "usage"] == (90, 10)
