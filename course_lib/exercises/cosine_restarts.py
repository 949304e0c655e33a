"""Exercise: write the cosine with warm restarts."""

import math

from course_lib.exercises.cases import Case, once
from course_lib.exercises.exercise import Exercise, mistake


def cosine_restarts(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    """The rate after t steps: a cosine from lr to floor that begins again after T_0 steps, each time T_mult as long."""
    since, length = place(t, T_0, T_mult)
    return floor + (lr - floor) * (1 + math.cos(math.pi * since / length)) / 2


def place(t, T_0, T_mult):
    """How many steps ago the cycle of step t began, and how long it is."""
    length = T_0
    while t >= length:
        t, length = t - length, length * T_mult
    return t, length


def wave(lr, floor, done):
    """Half a wave of the cosine, from lr at done = 0 to floor at 1."""
    return floor + (lr - floor) * (1 + math.cos(math.pi * done)) / 2


# Case 1 has t = 0, where the rate is lr = 0.1. Cases 2 to 4 have t = 5, 9 and 10 of a cycle of 10 steps, so 0.05, 0.00245 and again 0.1.


@mistake(
    "At t = {given[t]} the rate is {given[lr]} itself; yours is {yours[rate]}, that of t = 1. This is what counting from 1 does: t is the "
    "number of steps *taken*, and before the first step it is 0."
)
def counts_from_one(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    return cosine_restarts(t + 1, lr=lr, T_0=T_0, T_mult=T_mult, floor=floor)


@mistake(
    "At t = {given[t]} the cycle of {given[T_0]} steps is over, and the rate is back at {right[rate]}; yours is {yours[rate]}, the end of "
    "the cosine. You restart one step too late. Steps 0 to T_0 − 1 make the first cycle: look at `>` and `>=`."
)
def one_step_late(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    length = T_0
    while t > length:
        t, length = t - length, length * T_mult
    return wave(lr, floor, t / length)


@mistake(
    "The first cycle agrees. In the second one, at t = {given[t]}, your rate is {yours[rate]} instead of {right[rate]}: each of your "
    "cycles has {given[T_0]} steps. Every cycle is T_mult times as long as the one before; look for T_mult."
)
def never_grows(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    return wave(lr, floor, t % T_0 / T_0)


@mistake(
    "At t = {given[t]} your rate is {yours[rate]} instead of {right[rate]}. You restart at the right step, but in the longer cycle the "
    "cosine still ends after {given[T_0]} steps, and then rises. Divide by the length of the cycle that t is in."
)
def divides_by_the_first_length(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    return wave(lr, floor, place(t, T_0, T_mult)[0] / T_0)


@mistake(
    "At t = {given[t]} your rate is {yours[rate]} instead of {right[rate]}. This is what T_mult in the argument of the cosine does: in a "
    "longer cycle you run through the wave faster. T_mult makes the *length* grow, by which you divide."
)
def speeds_up(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    since, length = place(t, T_0, T_mult)
    return wave(lr, floor, since * length / T_0 / T_0)


@mistake(
    "After the first cycle, at t = {given[t]}, your rate is {yours[rate]} instead of {right[rate]}: the cosine goes on and rises again. "
    "Its argument counts the steps since the last restart, not all steps."
)
def never_restarts(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    return wave(lr, floor, t / T_0)


@mistake(
    "After the first cycle, at t = {given[t]}, your rate is {yours[rate]} instead of {right[rate]}: it stays at the end of the cosine. "
    "That is a cosine without restarts."
)
def stays_at_the_floor(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    return wave(lr, floor, min(t / T_0, 1))


@mistake(
    "Your rate is {times} times the right one: {yours[rate]} instead of {right[rate]}. 1 + cos runs from 2 to 0: a factor of ½ is missing."
)
def no_half(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    since, length = place(t, T_0, T_mult)
    return floor + (lr - floor) * (1 + math.cos(math.pi * since / length))


@mistake(
    "At t = {given[t]} the rate must be {right[rate]}, and yours is {yours[rate]}: your wave rises from the floor to lr. "
    "Look at the sign in front of the cosine."
)
def rises(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    since, length = place(t, T_0, T_mult)
    return wave(lr, floor, 1 - since / length)


@mistake(
    "In the middle of the cycle your rate is {yours[rate]} instead of {right[rate]}: you run through a whole wave, down and up again. "
    "Half a wave is an angle of π, not 2π."
)
def whole_wave(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    since, length = place(t, T_0, T_mult)
    return wave(lr, floor, 2 * since / length)


@mistake(
    "In the middle of the cycle your rate is {yours[rate]} instead of {right[rate]}. This is what an angle in degrees does: "
    "`math.cos` and `torch.cos` take radians, so half a wave is π and not 180."
)
def in_degrees(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    since, length = place(t, T_0, T_mult)
    return wave(lr, floor, 180 / math.pi * since / length)


@mistake(
    "In the middle of the cycle your rate is {yours[rate]} instead of {right[rate]}: π is missing, so the angle only goes from 0 to 1, "
    "and the cosine hardly falls."
)
def no_pi(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    since, length = place(t, T_0, T_mult)
    return wave(lr, floor, since / length / math.pi)


@mistake(
    "All agrees while the floor is 0. With floor = {given[floor]} your rate is {yours[rate]} instead of {right[rate]}: you add the floor "
    "to a wave of height lr, so that it begins above lr. The wave's height is lr − floor."
)
def floor_on_top(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    return floor + cosine_restarts(t, lr=lr, T_0=T_0, T_mult=T_mult)


@mistake(
    "All agrees while the floor is 0. With floor = {given[floor]} your rate is {yours[rate]} instead of {right[rate]}: you cut the wave "
    "off at the floor. It must come down to it at the end of the cycle, and no earlier."
)
def cut_off_at_the_floor(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    return max(floor, cosine_restarts(t, lr=lr, T_0=T_0, T_mult=T_mult))


@mistake(
    "All agrees while the floor is 0. With floor = {given[floor]} your rate is {yours[rate]} instead of {right[rate]}, as if it were "
    "still 0. Look for the floor in your lines."
)
def ignores_the_floor(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    return cosine_restarts(t, lr=lr, T_0=T_0, T_mult=T_mult)


@mistake(
    "The first two cycles agree. At t = {given[t]} your rate is {yours[rate]} instead of {right[rate]}: your cycles have 10, 20, 30, … "
    "steps. The length is *multiplied* by T_mult at every restart: 10, 20, 40."
)
def adds_to_the_length(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    length = T_0
    while t >= length:
        t, length = t - length, length + T_0 * (T_mult - 1)
    return wave(lr, floor, t / length)


@mistake(
    "At t = {given[t]}, with T_0 = {given[T_0]} and T_mult = {given[T_mult]}, a cycle begins, and your rate is {yours[rate]} instead of "
    "{right[rate]}. Your formula is right, your computer is not: the logarithm comes out as 4.999… where it is 5, and `floor` or `int` "
    "makes 4 of it. Count the cycles in a loop over whole numbers, or add a little before you round."
)
def logarithm_rounds_down(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    n = t // T_0 if T_mult == 1 else int(math.log(t / T_0 * (T_mult - 1) + 1, T_mult))
    start = T_0 * n if T_mult == 1 else T_0 * (T_mult**n - 1) / (T_mult - 1)
    return wave(lr, floor, (t - start) / (T_0 * T_mult**n))


@mistake(
    "All agrees while lr is 0.1. Here it is {given[lr]}, and your rate is {yours[rate]} instead of {right[rate]}. Look for 0.1 written as "
    "a number."
)
def fixed_rate(t, *, lr=0.1, T_0=10, T_mult=2, floor=0.0):
    return cosine_restarts(t, lr=0.1, T_0=T_0, T_mult=T_mult, floor=floor)


USUAL = {"lr": 0.1, "T_0": 10, "T_mult": 2, "floor": 0.0}


def _steps(title: str, look: str, steps, about=(), **other) -> Case:
    """A call for each of the steps."""
    return Case(title, look, lambda call: [call(t=t, **(USUAL | other)) for t in steps], about=about)


check = Exercise(
    cosine_restarts,
    returns=("rate",),
    cases=[
        once("before the first step", "", t=0, **USUAL),
        once("half of the first cycle", "The start agrees: look at the wave, its angle, and the length of the first cycle.", t=5, **USUAL, about=("wave", "t", "length", "T_0")),
        once("the last step of the first cycle", "The middle agrees: look at the angle.", t=9, **USUAL, about=("wave", "t", "length")),
        once("the first restart", "The first cycle agrees: look at what happens at t = T_0.", t=10, **USUAL, about=("t", "comparison")),
        _steps("the second cycle", "Look at how long the second cycle is.", range(11, 30), about=("length",)),
        _steps("two more cycles", "Two cycles agree: look at how the length grows, and at what is taken off t.", (*range(30, 73), 100, 149), about=("length",)),
        _steps("another rate", "Look for a number where `lr` should stand.", range(0, 40, 3), lr=0.4, about=("lr",)),
        _steps("another first cycle", "Look for a number where `T_0` should stand.", (*range(0, 50, 3), 7, 20, 21, 48, 49), T_0=7, about=("T_0",)),
        _steps("cycles that grow threefold", "Look for a number where `T_mult` should stand, and at how the length grows.", (*range(7, 43, 3), 10, 39, 129, 130), T_mult=3, about=("T_mult",)),
        _steps("a floor", "Look at the height of the wave.", range(0, 40, 3), floor=0.013, about=("floor",)),
        _steps("all of them changed", "Each one by itself agrees: look at where two of them meet.", (*range(20), 51, 52, 53, 100), lr=0.37, T_0=4, T_mult=3, floor=0.07, about=("lr", "T_0", "T_mult", "floor")),
        _steps("cycles of one length", "Here T_mult is 1, so that nothing grows. A division by T_mult − 1 fails.", range(14), T_0=4, T_mult=1, about=("T_mult",)),
        _steps("the steps around the beginnings of six cycles", "Short runs agree: look at the steps where a cycle begins.", (*range(15), 39, 40, 41, 120, 121, 122, 363, 364, 365), T_0=1, T_mult=3, about=("comparison", "t")),
        _steps("steps in any order", "In order all agrees: look for something that is kept between calls. The rate depends on t alone.", (75, 3, 10, 0, 29, 30, 3), about=("memory",)),
        Case("nothing given but t", "Each argument was right when it was given: the defaults in the first line are 0.1, 10, 2 and 0.", lambda call: [call(t=t) for t in (0, 5, 10, 20, 31)], about=("signature",)),
    ],
    mistakes=[
        counts_from_one, one_step_late, never_grows, divides_by_the_first_length, speeds_up, never_restarts,
        stays_at_the_floor, no_half, rises, whole_wave, in_degrees, no_pi, floor_on_top, cut_off_at_the_floor,
        ignores_the_floor, adds_to_the_length, logarithm_rounds_down, fixed_rate,
    ],
    source="slide 42",
)  # fmt: skip
