"""How datasets are made and checked: layouts, readers of annotations, the embedded benchmark."""
