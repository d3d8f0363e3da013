"""The digital operations over numpy arrays, one file per family; ``vector.py`` dispatches."""
