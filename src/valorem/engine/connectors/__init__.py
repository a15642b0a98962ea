"""Sources at work: messages taken in, systems read, what was counted written back, invoices that wait for either."""
