"""Update rules, in files by growing difficulty: descent, decay, adaptive, beyond.

Each takes (w, g, t), its state, its hyperparameters; it returns w and the new state. `w` and `g` (the gradient at w) have the
same shape, any shape; `t` counts steps from 1. A name that ends in _torch is PyTorch's spelling of a rule that the lecture
spells otherwise, so that both can be compared. Each file ends with its part of the catalog.
"""
