"""A fuzzer of the whole API, led by the engine's own description of it (`/proa/openapi.json`).

`hints`      words that lead deep: what parameters and fields of certain names are filled with
`values`     a value for a JSON schema: mostly a sensible one, else an odd or a wrong one
`fence`      takes out of a request what could reach the host
`shots`      one request as bytes, and how it is sent: whole, in pieces, in chunks, cut off, half-closed
`gunner`     sends shots over connections of its own, reads what comes back and judges it
`world`      an engine in namespaces of its own, with containers, images and volumes that names are taken from
`accounts`   what an engine holds: descriptors, processes, mounts, cgroups, tasks, memory
"""
