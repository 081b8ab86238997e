"""What users write behind flags, read as docker reads it: sizes, mounts, devices, limits, environment files."""
