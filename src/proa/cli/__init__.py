"""The command line: docker's commands, flags, texts and exit codes, over `proa.client`.

Commands and their flags are data (`catalogue.py`, the tables in `commands/` and `options/`), parsed by `flags.py`
and described by `help.py`. A command's module is imported when it is named; whatever only some flags need is
imported when they are given, because a whole `proa run` takes 40 ms.
"""
