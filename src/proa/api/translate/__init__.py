"""The border between Docker's words and the engine's: bodies to options, records to JSON."""
