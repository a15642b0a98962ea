"""The warehouse: recorded events with their typed values, sorted by customer, for history and drill-down."""
