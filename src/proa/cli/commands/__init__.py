"""One module per command, named by `cli/catalogue.py`: its table of flags and what it does."""
