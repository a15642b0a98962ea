"""Use cases, as verbs: they decide in what order to ask and tell, and where a transaction begins and ends."""
