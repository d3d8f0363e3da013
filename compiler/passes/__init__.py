"""The passes, one a file; ``..pipeline`` finds them by their names."""
