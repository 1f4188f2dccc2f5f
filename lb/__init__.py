"""lb: an HTTP load balancer and reverse proxy.

The rooms and who may import whom: docs/architecture.md. Nothing is imported here, so that a worker
process loads only the data plane.
"""

__version__ = "0.1.0"
