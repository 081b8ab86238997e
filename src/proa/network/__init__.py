"""Networks of containers: bridges, endpoints, addresses, and the firewall around them.

Everything between "a container wants a network" and the kernel. `DefaultBridge` is the entrance; a network
is a `Bridge`, an `EndpointPool` on it, and elements in the sets of the `Firewall`. Records are the engine's.
"""
