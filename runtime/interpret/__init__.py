"""Run the IR of a level as it stands, to compare levels with each other and with the model."""
