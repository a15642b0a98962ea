"""The demonstration: a month or two of an AI company's billing in a minute, checked by arithmetic of its own."""
