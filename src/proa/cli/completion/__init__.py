"""What comes next on a command line, for shells: commands, flags, and names that the engine knows.

`proa completion SHELL` prints a script; it calls `proa __complete WORDS…`, which speaks cobra's protocol, so that
docker's own scripts serve a link of the name `docker` to `proa`.
"""
