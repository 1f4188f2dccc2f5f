EAGAIN: int
errno: int
