"""How a run ended: it reached the goal, it did not settle, or it diverged. One rule for every map, race and plot.

A run is known by its losses above the floor at t = 0, 1, …, `steps`. All arguments are tensors that broadcast.
"""

import math

import torch

REACHED, NOT_SETTLED, DIVERGED = 0, 1, 2
GROWTH = 1000.0  # a run that ends so many times as high as ever in its first half is leaving; spikes of Adam are lower


def steps_to_goal(late, t, above, goal):
    """After how many steps the loss stays at the goal, if it is `above` the floor at t, and was there `late` before.

    It stays late as long as it is NaN.
    """
    return torch.where(above <= goal, late, t + 1)


def end_of_run(late, before, after, last, steps):
    """How a run of so many steps ended, as a number: 0 reached, 1 not settled, 2 diverged.

    `late`: the step from which its loss stays at the goal, above `steps` if it never does. `before`, `after`: how far the loss
    gets from the floor at most, up to step `steps` / 2, the start included, and from then on. `last`: how far from it the loss ends.

    - reached: from step `late` on the loss stays at the goal or below
    - diverged: a loss is not finite, or the run grows past any bound as far as so many steps can tell: `last` is more than
      GROWTH times `before`
    - not settled: all others. They stay bounded, below `after`, on their way or for ever: RMSprop at a rate far too large
      swings between fixed values. A spike from which a run comes back is no divergence.
    """
    finite = (before < math.inf) & (after < math.inf)
    kept = torch.where(finite & (last <= GROWTH * before), NOT_SETTLED, DIVERGED)
    return torch.where(finite & (late <= steps), REACHED, kept)
