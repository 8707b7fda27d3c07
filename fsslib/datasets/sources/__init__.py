"""How datasets are made and checked: PASCAL, COCO, folders of one's own."""
