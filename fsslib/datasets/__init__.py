"""How datasets are made and checked: folder layout, readers of annotations, the embedded benchmark."""
