"""The pipeline's steps as commands, and the process settings that all of them want."""

import os

from stages.support.heap import share_one_heap

# Threads that wait for each other sleep instead of spinning: 20 times less CPU time when the cores
# are shared (docs/performance.md). Read when torch starts its first team of threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Photographs of many sizes: oneDNN keeps what it compiled for each size, by default 1024 pieces,
# and the memory of `extract` grew with the number of images (docs/performance.md). 128 hold the
# sizes that come again and again; the time is the same. Read when torch first convolves.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")

share_one_heap()
