// The picture of a map on its canvas: rows of results arrive coarsely first, then finely, band by band.

/**
 * `paint(floats, pixels, row)` gives a row of results its colors, as 32 bits each. Returns { rows(part), repaint(), now() }:
 * `part` is what a painter shows; `now()` is { floats, columns, rows, complete }, or null before the first part.
 */
export function picture(canvas, paint) {
  const pen = canvas.getContext("2d");
  let all = null;

  /** Some rows, counted from below, onto the canvas, where rows are counted from above. */
  function ink({ floats, columns, rows, from, to }) {
    const image = pen.createImageData(columns, to - from),
      flipped = new Uint32Array(image.data.buffer),
      line = new Uint32Array(columns);
    for (let j = from; j < to; j++) {
      paint(floats.subarray(4 * columns * (j - from), 4 * columns * (j - from + 1)), line, j);
      flipped.set(line, columns * (to - 1 - j));
    }
    pen.putImageData(image, 0, rows - to);
  }

  return {
    rows(part) {
      const { floats, columns, rows, from, to, coarse } = part;
      if (coarse || canvas.width !== columns || canvas.height !== rows || !all || all.complete) {
        const before = !coarse && from === 0 && to < rows && copy(canvas);
        Object.assign(canvas, { width: columns, height: rows });
        if (before) pen.drawImage(before, 0, 0, columns, rows); // the coarse picture until the rows arrive
        all = { floats: new Float32Array(4 * columns * rows), columns, rows };
      }
      all.floats.set(floats, 4 * columns * from);
      all.complete = coarse || to === rows;
      ink(part);
    },
    repaint: () => all?.complete && ink({ ...all, from: 0, to: all.rows }),
    now: () => all,
  };
}

function copy(canvas) {
  const made = document.createElement("canvas");
  Object.assign(made, { width: canvas.width, height: canvas.height });
  if (canvas.width && canvas.height) made.getContext("2d").drawImage(canvas, 0, 0);
  return made.width && made.height ? made : null;
}
