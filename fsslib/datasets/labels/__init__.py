"""Readers of annotations: masks of all kinds, LabelMe, COCO, YOLO, Label Studio, CVAT, Roboflow."""
