"""The pipeline's steps as commands, and the process settings that all of them need."""

import os

from .support.heap import share_one_heap

# Waiting threads sleep instead of spinning. This takes 20 times less CPU time when the cores are
# shared (docs/performance.md). It is read when torch starts its first team of threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# oneDNN caches what it compiled for each image size, by default 1024 entries. Photographs have
# many sizes, so the memory of `extract` grew with the number of images (docs/performance.md). 128
# entries cover the sizes that recur, at the same speed. It is read at torch's first convolution.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")

share_one_heap()
