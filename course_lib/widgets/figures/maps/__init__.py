"""Figures whose pixels are runs: Map and Trainability, and what they share."""
