// Every figure of the course, in one bundle: a page, Jupyter, VS Code and Colab load the same text.
import * as decay_map from "./decay_map.js";
import * as descent from "./descent.js";
import * as fit from "./fit.js";
import * as local_model from "./local_model.js";
import * as map from "./map.js";
import * as mini_batch from "./mini_batch.js";
import * as race from "./race.js";
import * as rate_map from "./rate_map.js";
import * as ridge from "./ridge.js";
import * as secant_ellipse from "./secant_ellipse.js";
import * as trainability from "./trainability.js";

const FIGURES = {
  decay_map,
  descent,
  fit,
  local_model,
  map,
  mini_batch,
  race,
  rate_map,
  ridge,
  secant_ellipse,
  trainability,
};

export default { render: (context) => FIGURES[context.model.get("figure")].render(context) };
