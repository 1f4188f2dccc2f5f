"""The fault harness: servers that fail on command, a load that counts, networks that lose packets.

A test reads like an incident: `Incident(servers=3, config=…)` starts lb before real server processes under
constant load; the test breaks something (`incident.servers[0].kill()`, `.does("hang")`, `network.cut()`), and
asks the load what the clients saw between two moments. To add a fault: a word in server.py (what a server can
do wrong) or a method in network.py (what a wire can do wrong). Figures are printed and asserted.
"""
