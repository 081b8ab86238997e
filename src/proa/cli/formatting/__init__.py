"""What users read: tables, sizes, ages, progress. Go templates for `--format` are `proa.templates`."""
