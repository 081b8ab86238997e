"""The name server of containers: what answers at 127.0.0.11 on user-defined networks.

One process per engine, which outlives it as shims do: names are answered while proad restarts. `process` is
the entrance; a container's questions come in at a `Service`, are answered from the `Directory` or passed on by
the `Forwarder`. What it shall know, the engine tells it by the messages of `protocol`.
"""
