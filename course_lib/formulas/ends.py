"""How a run ended: it reached the goal, it did not settle, or it diverged. One rule for every map, race and plot.

A run is known by its losses above the floor at t = 0, 1, …, `steps`. All arguments are tensors that broadcast.
"""

import math

import torch

REACHED, NOT_SETTLED, DIVERGED = 0, 1, 2
GROWTH = 1.5  # of the highest loss: less is what a bounded swing does, more what a run does that leaves


def steps_to_goal(late, t, above, goal):
    """After how many steps the loss stays at the goal, if it is `above` the floor at t, and was there `late` before.

    It stays late as long as it is NaN.
    """
    return torch.where(above <= goal, late, t + 1)


def end_of_run(late, before, after, steps):
    """How a run of so many steps ended, as a number: 0 reached, 1 not settled, 2 diverged.

    `late`: the step from which its loss stays at the goal, above `steps` if it never does. `before`, `after`: the highest loss
    above the floor up to step `steps` / 2, the start's included, and from then on.

    - reached: from step `late` on the loss stays at the goal or below
    - diverged: a loss is not finite, or the run grows past any bound as far as so many steps can tell: the highest loss
      after the middle is more than GROWTH times the highest before
    - not settled: all others. They stay bounded, below `after`, on their way or for ever: RMSprop at a rate far too large
      swings between fixed values.
    """
    finite = (before < math.inf) & (after < math.inf)
    kept = torch.where(finite & (after <= GROWTH * before), NOT_SETTLED, DIVERGED)
    return torch.where(finite & (late <= steps), REACHED, kept)
