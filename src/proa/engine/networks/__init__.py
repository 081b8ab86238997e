"""Networks as users make them, and the places that containers have on them.

`networks.py` is the table of all networks, `attach.py` gives a starting container its places. Ports and names
follow the places: `companions.py` says how.
"""
