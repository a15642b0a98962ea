"""Pure rules: arguments in, values out. No I/O, no clock, no randomness, no float."""
