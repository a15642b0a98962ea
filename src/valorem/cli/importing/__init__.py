"""Import of recorded usage from files: a map says what each row means, and running it again counts nothing twice."""
