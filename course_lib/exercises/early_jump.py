"""Exercise: a run of Adam whose loss jumps in its first steps. Which fault was planted?"""

from course_lib.exercises.diagnosis import Diagnosis, Observation, Suspect
from course_lib.experiments.studies.faults import Run, adam_divided_by, nothing, only_m_corrected, right, train
from course_lib.formulas import adam

STEPS, RATE = 200, 0.02


def as_printed(beta, t):
    return 1 - beta


planted = only_m_corrected  # a name that gives nothing away, for the notebook


def plant(rule, **setting):
    return lambda seed: train(rule, seed=seed, steps=STEPS, **setting)


def first(run: Run) -> list[float]:
    """The largest change of a weight in the first three steps, in units of the rate."""
    return (run.largest[:3] / RATE).tolist()


def near(value: float, expected: float) -> bool:
    return abs(value / expected - 1) < 0.03


TOO_FAST = Suspect(
    "The rate is 31.6 times what it should be.",
    plant(adam, lr=31.6 * RATE),
    "Tempting: the first step is 31.6 rates long. But Adam's first steps are all alike, whatever the rate is: m̂/√v̂ is ±1 as long as a "
    "weight's gradients are alike. So the second and the third would be 31.6 rates long as well. Look at them.",
    lambda run: not near(first(run)[2], first(run)[0]),
)
NEITHER = Suspect(
    "Both bias corrections are missing.",
    plant(adam_divided_by(nothing, nothing)),
    "Then the first step would be (1 − β₁)/√(1 − β₂) = 0.1/0.0316 = 3.16 rates long, and the longest come later, around step 10. Here the "
    "first is the longest.",
    lambda run: not near(first(run)[0], 3.16),
)
ONLY_M = Suspect("m is corrected, and v is not.", plant(planted))
ONLY_V = Suspect(
    "v is corrected, and m is not.",
    plant(adam_divided_by(nothing, right)),
    "Then the run would begin too slowly: m is 1 − β₁ = 0.1 of the gradient, and the first step a tenth of the rate. Here it is too long.",
    lambda run: first(run)[0] > 1,
)
PRINTED = Suspect(
    "The corrections divide by 1 − β in place of 1 − β^t.",
    plant(adam_divided_by(as_printed, as_printed)),
    "At t = 1 the two are the same, so the first step would be exactly one rate long. Here it is far longer.",
    lambda run: first(run)[0] > 1.1,
)
EXCHANGED = Suspect(
    "β₁ and β₂ are exchanged.",
    plant(adam_divided_by(right, right, beta1=0.999, beta2=0.9)),
    "The corrections would then be right for what they correct, so the first step would be one rate long, and trouble would come late: an "
    "m that remembers 1,000 steps, divided by a √v that remembers 10. Here the trouble is at the start.",
    lambda run: first(run)[0] > 1.1,
)

check = Diagnosis(
    "early_jump",
    [TOO_FAST, NEITHER, EXCHANGED, ONLY_V, ONLY_M, PRINTED],
    [
        Observation(
            "Within the first ten steps the loss jumps to more than three times that of the start.",
            lambda run: run.loss[:10].max() > 3 * run.loss[0],
            (TOO_FAST,),
        ),
        Observation(
            "In the first step some weight changes by more than 30 times the rate.",
            lambda run: first(run)[0] > 30,
            (TOO_FAST,),
        ),
        Observation(
            "In steps 5 to 20 the largest change of a weight is always more than twice the rate.",
            lambda run: (run.largest[4:20] > 2 * RATE).all(),
            (TOO_FAST, NEITHER),
        ),
        Observation(
            "In steps 1, 2 and 3 the largest change of a weight is 31.6, 22.4 and about 18 times the rate.",
            lambda run: all(map(near, first(run), (31.6, 22.4, 18.25))),
        ),
        Observation(
            "In the end the run has learned: its last 20 losses are below 1.",
            lambda run: run.loss[-20:].max() < 1,
            (NEITHER, ONLY_V, PRINTED, EXCHANGED),
        ),
    ],
)
