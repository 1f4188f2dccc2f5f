"""`python -m tests.worker.echo_worker`: a worker process whose data plane is EchoPlane."""

from lb.worker.main import main
from tests.worker.echo_plane import EchoPlane

if __name__ == "__main__":
    main(plane_factory=EchoPlane)
