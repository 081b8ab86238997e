"""The processes between the engine and containers: a launcher that forks, one shim for each container.

`launcher.py` → `shim.py` → `session.py` (streams, clients, log) → `proa.runtime.container`.
"""
