"""Encoders: ResNets and timm models, their weights, and the code that runs them."""
