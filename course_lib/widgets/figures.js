// Every figure of the course, in one bundle: a page, Jupyter, VS Code and Colab load the same text.
import * as descent from "./descent.js";
import * as rate_map from "./rate_map.js";

const FIGURES = { descent, rate_map };

export default { render: (context) => FIGURES[context.model.get("figure")].render(context) };
