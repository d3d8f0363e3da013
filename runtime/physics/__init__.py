"""Device physics of the charge-domain array: one file per family of effects, arrays only."""
