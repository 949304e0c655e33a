// Some digits that the network was not trained on, with what it takes them for.
import { make } from "../kit/kit.js";

/** { draw(bytes) of the pictures, show(report) }. */
export function samples(parent, { shown, side, labels, train, where }) {
  const classes = labels.slice(where === "page" ? train : 0).slice(0, shown);
  const box = make(parent, "div", "cf-samples", { role: "img" });
  const tiles = classes.map(() => {
    const tile = make(box, "div", "cf-sample");
    const picture = make(tile, "canvas", "", { width: side, height: side });
    return { tile, picture, word: make(tile, "span") };
  });

  function draw(bytes) {
    tiles.forEach(({ picture }, k) => {
      const image = new ImageData(side, side);
      for (let i = 0; i < side * side; i++) {
        const ink = bytes[k * side * side + i] / 16;
        image.data.set([0, 0, 0, 255 * ink], 4 * i); // on a dark page the style sheet turns black into white
      }
      picture.getContext("2d").putImageData(image, 0, 0);
    });
  }

  function show({ predictions, probabilities }) {
    let right = 0;
    tiles.forEach(({ tile, picture, word }, k) => {
      const wrong = predictions[k] !== classes[k];
      right += !wrong;
      word.textContent = wrong ? `${predictions[k]}≠${classes[k]}` : String(predictions[k]);
      tile.classList.toggle("cf-wrong", wrong);
      picture.style.opacity = wrong ? 1 : 0.4 + 0.6 * probabilities[k];
    });
    box.setAttribute("aria-label", `${shown} digits that it was not trained on: ${right} are named rightly.`);
  }

  return { draw, show };
}
