"""Pricing: one price model a file, and the pipeline that turns usage into lines that explain themselves."""
