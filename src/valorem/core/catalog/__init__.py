"""The catalog: meters, features, prices and plans read from one tree of YAML files."""
