"""Published macros: their figures as data, and what the cost functions make of them."""
