"""The OCI runtime: from a runtime specification (config.json) to isolated processes.

`container.py` is the parent's side, `init.py` the container's first process, `join.py` an exec process;
`rootfs.py` and `mounts.py` build what they see. No policy: the specification says everything.
"""
