"""The steps of the pipeline as commands; each is thin and calls one library function."""

import os

# Before torch is imported: a thread that waits for its peers sleeps instead of spinning. Alone it
# costs nothing that we could measure; on a shared machine it is 20 times faster (docs/performance).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
