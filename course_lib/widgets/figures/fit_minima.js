// The local minima of a surface inside a grid: found among its cells, then refined with the surface's own gradient.

const REFINEMENTS = 12;

/**
 * Every cell lower than its eight neighbors, refined by Newton's method: [[x, y], …], the lowest first.
 * `cells` is contour_plot's grid over `domain`, `loss(x, y)` a number, `slope(x, y)` its gradient.
 */
export function localMinima(cells, domain, loss, slope) {
  const { values, columns, rows } = cells,
    [[x0, x1], [y0, y1]] = domain;
  const found = [],
    size = (x1 - x0) / columns;
  for (let j = 1; j < rows - 1; j++)
    for (let i = 1; i < columns - 1; i++) {
      const k = j * columns + i;
      if (isLowest(values, k, columns))
        found.push(refine([x0 + (i + 0.5) * size, y1 - ((j + 0.5) * (y1 - y0)) / rows], slope, size));
    }
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
function refine(start, slope, size) {
  let [x, y] = start;
  for (let k = 0; k < REFINEMENTS; k++) {
    const [a, b, d] = curvature(x, y, slope, size * 1e-3),
      [u, v] = slope(x, y),
      determinant = a * d - b * b;
    if (!(determinant > 0 && a > 0)) return null;
    x -= (d * u - b * v) / determinant;
    y -= (a * v - b * u) / determinant;
  }
  return Math.hypot(x - start[0], y - start[1]) < 12 * size ? [x, y] : null;
}

/** The Hessian [a, b; b, d] by central differences of the gradient. */
function curvature(x, y, slope, h) {
  const [right, left, up, down] = [slope(x + h, y), slope(x - h, y), slope(x, y + h), slope(x, y - h)];
  return [
    (right[0] - left[0]) / (2 * h),
    (right[1] - left[1] + up[0] - down[0]) / (4 * h),
    (up[1] - down[1]) / (2 * h),
  ];
}

/** A long valley has several lowest cells, but one minimum. */
function distinct(points, size) {
  return points.filter((p, k) => points.findIndex((q) => Math.hypot(p[0] - q[0], p[1] - q[1]) < size) === k);
}
