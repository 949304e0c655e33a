// The local minima of a surface inside a grid: found among its cells, then refined by Newton's method, which is traced
// from Python.

const REFINEMENTS = 12;

/**
 * Every cell lower than its eight neighbors, refined: [[x, y], …], the lowest first. `cells` is contourPlot's grid over
 * `domain`, `loss(x, y)` a number, `newton(x, y)` the next point and the smaller curvature here.
 */
export function localMinima(cells, domain, loss, newton) {
  const { values, columns, rows } = cells;
  const [[x0, x1], [y0, y1]] = domain;
  const size = (x1 - x0) / columns;
  const found = [];
  for (let j = 1; j < rows - 1; j++)
    for (let i = 1; i < columns - 1; i++)
      if (isLowest(values, j * columns + i, columns))
        found.push(refine([x0 + (i + 0.5) * size, y1 - ((j + 0.5) * (y1 - y0)) / rows], newton, size));
  const inside = ([a, b]) => a > x0 && a < x1 && b > y0 && b < y1;
  return distinct(
    found.filter((p) => p && inside(p)),
    size,
  ).sort((p, q) => loss(...p) - loss(...q));
}

function isLowest(values, k, columns) {
  for (const row of [-columns, 0, columns])
    for (const column of [-1, 0, 1]) if ((row || column) && !(values[k] < values[k + row + column])) return false;
  return true;
}

/** Newton's method from a cell; null where it finds no minimum near it: the cell was a step of a narrow valley. */
function refine(start, newton, size) {
  let [x, y] = start;
  for (let k = 0; k < REFINEMENTS; k++) {
    const [a, b, curvature] = newton(x, y);
    if (!(curvature > 0)) return null;
    [x, y] = [a, b];
  }
  return Math.hypot(x - start[0], y - start[1]) < 12 * size ? [x, y] : null;
}

/** A long valley has several lowest cells, but one minimum. */
function distinct(points, size) {
  return points.filter((p, k) => points.findIndex((q) => Math.hypot(p[0] - q[0], p[1] - q[1]) < size) === k);
}
