// Augmentations: a photograph, and what the sliders of every change make of it, pixel by pixel by the traced formulas.
import { button, choice, exactAt, headline, slider } from "../kit/controls.js";
import { make, showChosen, write } from "../kit/kit.js";
import { live } from "../kit/live.js";

const BRIEF = 0.6; // of a slider's range, around the value that changes nothing: what is drawn at random

export const render = live({
  label: "A photograph and its augmentation",
  name: "cf-augmentations",
  traits: (spec) => Object.keys(spec.initial),
  build({ spec, code, model, put, root, reset, fit }) {
    const [height, width] = spec.size;
    const photo = unpacked(spec.photo);
    const pair = make(root, "div", "cf-photos");
    const before = picture(pair, "the photograph", width, height);
    const after = picture(pair, "augmented", width, height);
    before.paint(photo);
    before.say("A photograph of a temple with a curved roof in front of a gray sky.");
    const bar = make(root, "div", "cf-photo-bar");
    const number = headline(bar, "var(--cf-accent)", { label: "black, from outside", number: "", unit: "" });
    const buttons = make(bar, "div", "cf-buttons");
    button(buttons, "Draw two", "Two changes at random, the others at rest", () => put(drawn(spec, 2)));
    button(buttons, "Draw all", "All changes at random", () => put(drawn(spec, Infinity)));
    const flips = choice(buttons, "Horizontal flip", { 0: "as it is", 1: "flipped" }, (x) => put({ mirrored: +x }), {
      name: "cf-buttons",
      text: "",
    });
    reset(bar, buttons);
    const grid = make(root, "div", "cf-photo-sliders");
    spec.controls.forEach((control) => slider(grid, model, control));
    fit(pair, [], true);

    return (state) => {
      flips.mark(String(state.mirrored));
      const { pixels, outside } = changed(photo, state, spec, code);
      after.paint(pixels);
      const share = `${(100 * outside).toFixed(1)}%`;
      number.show({ number: share });
      const moved = spec.controls
        .filter(({ name }) => state[name] !== spec.still[name])
        .map(({ name, label }) => `${label} ${showChosen(state[name])}`);
      if (state.mirrored) moved.push("mirrored");
      const words = moved.join(", ") || "not yet";
      after.say(`The same photograph changed: ${words}. ${share} of its pixels come from outside and are black.`);
    };
  },
});

/** The photograph's bytes as numbers from 0 to 1: all reds, all greens, all blues. */
function unpacked(text) {
  return Float64Array.from(atob(text), (letter) => letter.charCodeAt(0) / 255);
}

/** A canvas with its title; `paint(pixels)` takes numbers from 0 to 1 in three planes. */
function picture(parent, title, width, height) {
  const box = make(parent, "figure", "cf-photo");
  const canvas = make(box, "canvas", "", { width, height, role: "img", "aria-label": title });
  write(box, "figcaption", "cf-title", title);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const count = width * height;
  return {
    paint(pixels) {
      for (let k = 0; k < count; k++) {
        for (let c = 0; c < 3; c++) image.data[4 * k + c] = 255 * pixels[c * count + k]; // the array clamps and rounds
        image.data[4 * k + 3] = 255;
      }
      context.putImageData(image, 0, 0);
    },
    say: (words) => canvas.setAttribute("aria-label", words),
  };
}

/** The photograph with all changes, in three planes, and the share of its pixels that come from outside. */
function changed(photo, state, spec, code) {
  const [height, width] = spec.size;
  const { down, right, degrees, factor, stretch, shear, k, mirrored, u, v, cutout, seed, noise } = state;
  const count = width * height;
  const pixels = new Float64Array(3 * count);
  const at = (c, row, column) =>
    row >= 0 && row < height && column >= 0 && column < width ? photo[c * count + row * width + column] : 0;
  let gray = 0;
  let outside = 0;
  for (let row = 0, n = 0; row < height; row++) {
    for (let column = 0; column < width; column++, n++) {
      const [to, under] = [column - (width - 1) / 2, row - (height - 1) / 2];
      const [x, y] = code.place(to, under, down, right, degrees, factor, stretch, shear, k, mirrored);
      outside += Math.abs(x) > width / 2 || Math.abs(y) > height / 2;
      const [i, j] = [y + (height - 1) / 2, x + (width - 1) / 2];
      const [i0, j0] = [Math.floor(i), Math.floor(j)];
      const color = [0, 1, 2].map((c) =>
        code.bilinear(at(c, i0, j0), at(c, i0, j0 + 1), at(c, i0 + 1, j0), at(c, i0 + 1, j0 + 1), j - j0, i - i0),
      );
      const bright = code.brightness(...color, state.brightness);
      gray += code.gray(...bright);
      for (let c = 0; c < 3; c++) pixels[c * count + n] = bright[c];
    }
  }
  const offset = [state.color1, state.color2, 0];
  for (let row = 0, n = 0; row < height; row++) {
    for (let column = 0; column < width; column++, n++) {
      const color = [pixels[n], pixels[count + n], pixels[2 * count + n]];
      const apart = code.spread(...color, gray / count, state.contrast);
      const tinted = code.pca_jitter(...apart, ...offset, ...spec.variances, ...spec.components);
      const left = code.shown(column - (width - 1) / 2, row - (height - 1) / 2, u, v, cutout);
      for (let c = 0; c < 3; c++) {
        const grain = noise > 0 ? noise * code.normal(c * count + n, seed) : 0;
        pixels[c * count + n] = left * tinted[c] + grain;
      }
    }
  }
  return { pixels, outside: outside / count };
}

/** Traits with `count` changes drawn at random, the others at rest. */
function drawn(spec, count) {
  const names = spec.controls.map(({ name }) => name);
  const alone = names.filter((name) => !spec.groups.flat().includes(name)).map((name) => [name]);
  const changes = [...spec.groups, ...alone, ["mirrored"]];
  const chosen = changes
    .map((group) => [Math.random(), group])
    .sort(([a], [b]) => a - b)
    .slice(0, count)
    .flatMap(([, group]) => group);
  const values = { ...spec.still, mirrored: 0, seed: Math.floor(10000 * Math.random()) };
  for (const { name, range } of spec.controls) if (chosen.includes(name)) values[name] = near(range, spec.still[name]);
  if (chosen.includes("mirrored")) values.mirrored = count === Infinity ? +(Math.random() < 0.5) : 1;
  return { ...values, u: Math.random(), v: Math.random() };
}

/** A value not too far from the one that changes nothing. */
function near(range, still) {
  const place = Math.random();
  const value = exactAt(place, range);
  const mixed = range.scale === "log" ? still * (value / still) ** BRIEF : still + BRIEF * (value - still);
  return +mixed.toPrecision(3);
}
