"""Images: their names, records, layers' reference counts, and what users do with them. One module a verb."""
