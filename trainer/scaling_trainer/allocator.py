"""Keeps freed memory in the process: a training step frees and takes the same buffers again and again."""

import ctypes
from functools import cache

_M_TRIM_THRESHOLD = -1  # malloc.h
_M_MMAP_THRESHOLD = -3
_LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc refuses more on 64-bit systems
_NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Stop glibc from returning memory to the kernel after each free; say whether that was possible.

    Its default hands buffers above 128 KiB back at once, and each page is then faulted in and zeroed again: 5 times
    the cost of the arithmetic for a normalisation of 1 MB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # not glibc
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_M_TRIM_THRESHOLD, _NEVER))
