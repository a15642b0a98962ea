"""Payments: one attempt as a state machine that no order or repetition of messages can upset, and the provider port."""
