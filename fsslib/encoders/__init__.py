"""Encoders: ResNets and models of timm, their weights, and running them."""
