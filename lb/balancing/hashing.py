"""The hash of keys and identities: 64 bits, the same in every worker, build and release.

FNV-1a over the bytes, then splitmix64's finalizer, because FNV alone mixes the high bits badly and
rendezvous compares high bits. Not secret and not meant against an attacker: who can choose keys can
send one key as often. Changing anything here moves every key of every user.
"""

from __future__ import annotations

import cython

# In C the arithmetic is modulo 2^64 by itself and the mask costs nothing; the names are declared in the
# .pxd, because a literal above 2^63 would be a Python int there.
MASK = 0xFFFFFFFFFFFFFFFF
FNV_START = 0xCBF29CE484222325
FNV_PRIME = 0x100000001B3
MIX_ONE = 0xBF58476D1CE4E5B9
MIX_TWO = 0x94D049BB133111EB


@cython.ccall
@cython.exceptval(check=False)
def mix64(h: cython.ulonglong) -> cython.ulonglong:
    """A bijection of 64-bit numbers in which every bit of `h` changes every bit of the result."""
    h ^= h >> 30
    h = h * MIX_ONE & MASK
    h ^= h >> 27
    h = h * MIX_TWO & MASK
    return h ^ (h >> 31)


@cython.ccall
@cython.boundscheck(False)  # 0 ≤ i < len(raw)
@cython.wraparound(False)
def hash_bytes(raw: bytes) -> cython.ulonglong:
    """The 64-bit hash of `raw`."""
    h: cython.ulonglong = FNV_START
    i: cython.Py_ssize_t
    for i in range(len(raw)):
        h = (h ^ raw[i]) * FNV_PRIME & MASK
    return mix64(h)
