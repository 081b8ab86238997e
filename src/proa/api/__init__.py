"""The Docker Engine API: HTTP, routes, wire types, and the translation to and from the engine's words.

Belongs here: what is Docker's on the wire. Does not: any decision about containers, images or networks.
"""
