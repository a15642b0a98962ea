"""Credits on the store: facts gathered from counters, contracts and records; verbs that change them; the ledger they give."""
