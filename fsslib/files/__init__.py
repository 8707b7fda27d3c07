"""Files that are complete or absent: atomic writing, HDF5, safetensors, shards, names of models."""
