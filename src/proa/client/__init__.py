"""A lean client of the engine's HTTP API: what the command line talks through.

Belongs here: addresses and contexts, HTTP/1.1, streams, terminals, docker's stored credentials, starting the
engine on demand. Does not: flags, texts and tables (`cli/`). Starting Python costs 7 ms and `import json` 6 more,
so the modules on the way of `proa run` import nothing but what the interpreter has built in.
"""
