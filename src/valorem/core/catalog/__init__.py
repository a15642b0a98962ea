"""The catalog: meters, features, prices and plans; parsing and diff of pricing-as-code."""
