"""Tests of prices and the pipeline."""
