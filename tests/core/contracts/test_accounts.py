"""Who pays for whose usage, and what is counted together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.contracts.accounts import Account, Accounts, Counted, subjects_of
from valorem.core.errors import InvalidInputError


def family(*members: Account) -> Accounts:
    return Accounts({each.customer: each for each in members})


GROUP = family(
    Account("group"),
    Account("east", "group", payer="parent"),
    Account("west", "group", payer="parent", tiers="apart", commitments="own"),
    Account("north", "group"),
    Account("shop", "east", payer="parent"),
)


def test_usage_goes_up_to_the_first_that_pays_for_itself():
    assert {key: GROUP.payer_of(key) for key in GROUP.accounts} == {
        "group": "group",
        "east": "group",
        "west": "group",
        "north": "north",
        "shop": "group",
    }


def test_pooled_children_are_counted_with_the_payer_and_others_apart():
    assert GROUP.counted("group") == (
        Counted("group", ("group", "east", "shop")),
        Counted("group", ("west",), "west"),
    )
    assert GROUP.counted("east") == ()
    assert GROUP.counted("stranger") == (Counted("stranger", ("stranger",)),)
    subjects = {"group": ["group", "g2"], "east": ["east"], "shop": ["shop", "g2"]}
    assert subjects_of(GROUP.counted("group")[0], subjects) == ("group", "g2", "east", "shop")


def test_commitments_are_shared_upwards_until_somebody_keeps_to_its_own():
    assert GROUP.commitment_owners("shop") == ("shop", "east", "group")
    assert GROUP.commitment_owners("west") == ("west",)


def test_nobody_stands_above_itself():
    with pytest.raises(InvalidInputError, match="above itself"):
        family(Account("a", "b"), Account("b", "a"))
    with pytest.raises(InvalidInputError, match="no account"):
        family(Account("a", "b"))
    with pytest.raises(InvalidInputError, match="no parent"):
        Account("a", payer="parent")


@given(
    st.lists(
        st.tuples(
            st.integers(0, 7), st.sampled_from(["self", "parent"]), st.sampled_from(["pooled", "apart"])
        ),
        min_size=1,
        max_size=8,
    )
)
def test_everybodys_usage_is_billed_exactly_once(rows):
    members = []
    for number, (above, payer, tiers) in enumerate(rows):
        parent = f"c{above % number}" if number else None
        members.append(Account(f"c{number}", parent, payer if parent else "self", tiers))
    accounts = family(*members)
    billed = [
        member for key in accounts.accounts for pool in accounts.counted(key) for member in pool.members
    ]
    assert sorted(billed) == sorted(accounts.accounts)
