"""Shared-memory cells: counters that workers write without locks and readers sum.

One mapping for the machine, a region a worker, a cell 8 bytes. A worker writes its own region only, so
that an aligned 64-bit store is all the synchronisation there is; a reader sums the regions and may see
one worker a moment before another. Layout: lb.telemetry.layout.
"""

from __future__ import annotations

import mmap

import cython

CELL = 8


@cython.cclass
class Cells:
    """The cells as one worker sees them: `add` and `set` on its own region, `total` over all.

    `worker` is the index of the own region, 0 ≤ worker < workers; `size` the cells in a region. The
    mapping is sparse: pages that were never written take no memory.
    """

    base: cython.Py_ssize_t
    size: cython.Py_ssize_t
    workers: cython.int
    worker: cython.int
    mapping: object

    def __init__(self, fd: int, worker: int, workers: int, size: int) -> None:
        """Map `fd`, a file of at least workers × size × 8 bytes; -1 for private anonymous memory."""
        self.mapping = mmap.mmap(fd, workers * size * CELL)
        self.view = memoryview(self.mapping).cast("q")
        self.base = worker * size
        self.size = size
        self.workers = workers
        self.worker = worker

    @cython.ccall
    @cython.exceptval(check=False)
    def add(self, at: cython.Py_ssize_t, n: cython.longlong) -> cython.void:
        self.view[self.base + at] += n

    @cython.ccall
    @cython.exceptval(check=False)
    def put(self, at: cython.Py_ssize_t, n: cython.longlong) -> cython.void:
        self.view[self.base + at] = n

    @cython.ccall
    def get(self, at: cython.Py_ssize_t) -> cython.longlong:
        return self.view[self.base + at]

    @cython.ccall
    def total(self, at: cython.Py_ssize_t) -> cython.longlong:
        """The sum of one cell over all workers."""
        i: cython.Py_ssize_t = at
        found: cython.longlong = 0
        w: cython.int
        for w in range(self.workers):
            found += self.view[i]
            i += self.size
        return found

    def totals(self, at: cython.Py_ssize_t, count: cython.Py_ssize_t) -> list[int]:
        """The sums over all workers of `count` cells from `at` on."""
        found: list[int] = []
        sum_: cython.longlong
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        w: cython.int
        for k in range(at, at + count):
            sum_ = 0
            i = k
            for w in range(self.workers):
                sum_ += self.view[i]
                i += self.size
            found.append(sum_)
        return found

    @cython.cfunc
    @cython.exceptval(check=False)
    def _sum(self, at: cython.Py_ssize_t, count: cython.Py_ssize_t) -> cython.longlong:
        """The sum of `count` cells from `at` on over all workers."""
        found: cython.longlong = 0
        i: cython.Py_ssize_t
        w: cython.int
        for w in range(self.workers):
            for i in range(w * self.size + at, w * self.size + at + count):
                found += self.view[i]
        return found

    def grouped(self, at: cython.Py_ssize_t, ends: tuple[int, ...]) -> list[int]:
        """The sums over all workers and over groups of cells from `at` on; `ends`: before which cell each
        group ends, counted from `at`, ascending."""
        found: list[int] = []
        begin: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t
        for end in ends:
            found.append(self._sum(at + begin, end - begin))
            begin = end
        return found

    def filled(self, at: cython.Py_ssize_t, ends: tuple[int, ...]) -> list[tuple[int, int]]:
        """As `grouped`, but only the groups that are not 0, each with its number."""
        found: list[tuple[int, int]] = []
        begin: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t
        sum_: cython.longlong
        for number, end in enumerate(ends):
            sum_ = self._sum(at + begin, end - begin)
            if sum_:
                found.append((number, sum_))
            begin = end
        return found

    def summary(self, at: int, plain: int, ends: tuple[int, ...]) -> list[int]:
        """The sums of the `plain` cells of the block at `at`, then those of the first histogram, which
        follows them, in groups."""
        return self.totals(at, plain) + self.grouped(at + plain, ends)

    def of(self, worker: int, at: int) -> int:
        """The cell of another worker."""
        return int(self.view[worker * self.size + at])

    def wipe(self, worker: int, at: int) -> None:
        """Set a dead worker's gauge to zero; only control may, and only before a successor starts."""
        self.view[worker * self.size + at] = 0

    def zero(self, at: int, count: int) -> None:
        """Set `count` cells from `at` on to zero for all workers; only control may, and only where no
        worker can still write."""
        for worker in range(self.workers):
            for i in range(worker * self.size + at, worker * self.size + at + count):
                self.view[i] = 0
