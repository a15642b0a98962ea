"""Adapters: each maps the inputs of one kind of case to real functions of the engine, and the answer back.

An adapter holds no rules of its own. Every module in this folder is imported by the runner; a module registers its
kinds with :func:`tests.conformance.runner.adapter`.
"""
