"""Docker's JSON as types: field names, order and defaults are those of the Engine API."""
