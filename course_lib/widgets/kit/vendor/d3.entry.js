// What the figures take from d3; esbuild leaves the rest out.
export { range } from "d3-array";
export { axisBottom, axisLeft } from "d3-axis";
export { contours } from "d3-contour";
export { format } from "d3-format";
export { scaleLinear, scaleLog } from "d3-scale";
export { interpolateViridis } from "d3-scale-chromatic";
export { select } from "d3-selection";
export { line } from "d3-shape";
