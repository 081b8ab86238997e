"""What users read: Go templates for `--format`, tables, sizes, ages, progress."""
