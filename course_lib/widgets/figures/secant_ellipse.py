"""SecantEllipse: how a quasi-Newton method's B turns from a circle into the inverse Hessian."""

from collections.abc import Callable

import torch
from torch.func import grad

from course_lib.backends import javascript
from course_lib.formulas import secant
from course_lib.formulas.second_order import broyden, identity
from course_lib.formulas.signature import signature
from course_lib.formulas.surfaces import quadratic
from course_lib.widgets.figures.descent import Descent
from course_lib.widgets.kit.controls import label
from course_lib.widgets.kit.traits import Choice

SEARCHES = {"exact": secant.broyden_exact, "Wolfe": broyden}
SIZE = 0.07  # of the circle's radius, as a share of the picture's width


class SecantEllipse(Descent):
    """A rule of the Broyden family on a surface, and at each step its B as an ellipse beside that of the inverse Hessian.

        SecantEllipse(quadratic, condition_number=20, angle=-30)
        SecantEllipse(rosenbrock, search="Wolfe", steps=40, step=30)

    The ellipse is {d : dᵀ B⁻¹ d = c} about the current point, with a c that gives every ellipse the same area. `xi` (0 is DFP,
    1 BFGS), the `search` along the line ("exact" or "Wolfe"), `start` and the `step` that is shown can be moved, and the
    hyperparameters of the surface that are named. With a kernel they can be read, set and observed; `fig.B` has the matrices,
    `fig.errors` how far each is from the inverse Hessian. Raises TypeError and ValueError as Descent does, and ValueError for
    another search.
    """

    search = Choice(SEARCHES, default_value="exact")

    def __init__(
        self,
        surface: Callable = quadratic,
        *,
        search: str = "exact",
        start=None,
        steps: int = 6,
        step: int = 1,
        domain=None,
        **hyper,
    ):
        super().__init__(list(SEARCHES.values()), surface, start=start, steps=steps, step=step, domain=domain, **hyper)
        self.search = search
        controls = [c | ({"label": "0 is DFP, 1 is BFGS"} if c["name"] == "xi" else {}) for c in self.spec["controls"]]
        (low, high), _ = self.spec["domain"]
        self.spec = self.spec | {
            "title": f"The Broyden family on {label(surface.__name__)}",
            "runs": [{"key": f"run{k}", "label": name} for k, name in enumerate(SEARCHES)],
            "controls": controls,
            "size": SIZE * (high - low),
            "initial": self.spec["initial"] | {"search": search},
        }

    def _javascript(self) -> str:
        shape = dict.fromkeys(signature(self._surface.formula, inputs=("w",)).hyper, ())
        surface = self._surface.formula

        def loss(hyper):
            return lambda w: surface(w, **hyper)

        point, square = {"w": (2,)} | shape, {"B": (2, 2)}
        parts = (
            javascript.of(lambda w, **hyper: secant.inverse_hessian(loss(hyper), w), "inverse_hessian", **point),
            javascript.of(secant.eigenvalues, **square),
            javascript.of(secant.relative_error, **square, wanted=(2, 2)),
            javascript.of(secant.secant_ellipse, "ellipse", phase=(), **square, size=()),
            javascript.of(secant.steepest_on_ellipse, "steepest", g=(2,), **square, size=()),
        )
        return "\n".join((super()._javascript(), *parts))

    @property
    def path(self) -> torch.Tensor:
        """The points that the chosen search reaches, of shape (steps + 1, 2) in float64."""
        return torch.stack([w for w, _ in self._walk(self.steps)])

    @property
    def B(self) -> torch.Tensor:
        """The matrix at each step, of shape (steps + 1, 2, 2) in float64."""
        return torch.stack([B for _, B in self._walk(self.steps)])

    @property
    def errors(self) -> torch.Tensor:
        """How far B is from the inverse Hessian at each step, relative to it, of shape (steps + 1,)."""
        f = self._loss()
        return torch.stack([secant.relative_error(B, secant.inverse_hessian(f, w)) for w, B in self._walk(self.steps)])

    @property
    def alt(self) -> str:
        """The figure's result in words."""
        k, f = min(self.step, self.steps), self._loss()
        w, B = self._walk(k)[-1]
        H = secant.inverse_hessian(f, w)
        (low, high), wanted = secant.eigenvalues(B).tolist(), secant.eigenvalues(H).tolist()
        ellipse = "" if wanted[0] > 0 else " One of them is negative, so H⁻¹ has no ellipse here."
        return (
            f"{self.spec['title']}, ξ = {self.xi:g}, {self.search} search, from ({self.start[0]:g}, {self.start[1]:g}). At step {k} of {self.steps} "
            f"B has the eigenvalues {low:.3g} and {high:.3g}, the inverse Hessian {wanted[0]:.3g} and {wanted[1]:.3g}.{ellipse} "
            f"The relative error of B is {secant.relative_error(B, H):.3g}, the loss {f(w):.3g}."
        )

    def _walk(self, steps: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The point and the matrix at each step."""
        f, w = self._loss(), torch.tensor(self.start, dtype=torch.float64)
        found = [(w, identity(w))]
        for t in range(1, steps + 1):
            w, B = found[-1]
            found.append(SEARCHES[self.search](w, grad(f)(w), t, f, B, xi=self.xi))
        return found

    def _loss(self) -> Callable:
        there = {
            k: torch.tensor(getattr(self, k), dtype=torch.float64)
            for k in signature(self._surface.formula, inputs=("w",)).hyper
        }
        return lambda w: self._surface.formula(w, **there)
