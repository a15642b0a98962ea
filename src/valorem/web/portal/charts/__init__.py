"""The portal's charts: the frame of all charts, with the numbers and dates of the customer's language."""
