"""Prototype rectification (section 3.4): global background, mined regions and their search."""
