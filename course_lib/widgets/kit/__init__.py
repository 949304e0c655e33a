"""What all figures share: their base, traits that know their limits, sliders, plots, and the bundle of their scripts."""
