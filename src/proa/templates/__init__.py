"""Go's text/template with docker's functions: what `--format` and a log's tag are written in."""
