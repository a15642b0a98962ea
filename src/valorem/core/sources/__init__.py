"""Sources: where facts of other systems come from, and how a record there becomes events here."""
