"""New classes in photographs: the segmenter, presence, files and export."""
