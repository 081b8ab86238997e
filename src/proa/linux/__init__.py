"""The kernel, one module per subject: thin, typed, no policy, no project imports but `proa.errors`.

Functions carry the kernel's name and argument order, raise `OSError`, retry EINTR and never log.
"""
