"""Files that are whole or absent: writing, HDF5, safetensors, shards, disk space."""
