"""The credit ledger: grants, burns and holds in; balance, attribution, postings, revenue and statement out.

Everything is one pure function, :func:`valorem.core.ledger.replay.replay`, over what was granted, used and held; every
number anyone sees is read from the :class:`valorem.core.ledger.account.Account` it returns, so no two can disagree.
"""
