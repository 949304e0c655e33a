// The reader's graphics chip: one context for all maps of a page, as browsers give out about sixteen and then take old
// ones away.
const CORNERS = `#version 300 es
void main() { gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1); }`;
const SHARED = Symbol.for("course_lib.widgets.map_gpu"); // in Jupyter every figure has its own copy of this text

/**
 * @typedef {{ x: Float32Array, y: Float32Array, values: number[], steps: number, bound: number, start?: number[],
 * goal?: number, lowest?: number }} Job what the shader has uniforms for
 */

/** `{ gl, programs, … }`, made once. Throws where there is no WebGL2 that draws to floats, or where it was lost. */
function shared() {
  const known = globalThis[SHARED];
  if (known) {
    if (known.gl.isContextLost()) throw new Error("the graphics context was lost");
    return known;
  }
  const gl = document
    .createElement("canvas")
    .getContext("webgl2", { antialias: false, depth: false, powerPreference: "high-performance" });
  if (!gl?.getExtension("EXT_color_buffer_float")) throw new Error("no WebGL2 that draws to floats");
  const made = {
    gl,
    programs: new Map(),
    lost: new Set(),
    size: [0, 0],
    picture: null,
    places: gl.createTexture(),
    frame: gl.createFramebuffer(),
  };
  gl.canvas.addEventListener("webglcontextlost", () => {
    globalThis[SHARED] = undefined; // a figure that is made later may try again
    made.lost.forEach((tell) => tell());
  });
  return (globalThis[SHARED] = made);
}

function program({ gl, programs }, text) {
  if (programs.has(text)) return programs.get(text);
  const made = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, CORNERS],
    [gl.FRAGMENT_SHADER, text],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
    gl.deleteShader(shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS))
    throw new Error(
      `the shader does not compile: ${
        gl.getProgramInfoLog(made) ||
        gl
          .getAttachedShaders(made)
          ?.map((s) => gl.getShaderInfoLog(s))
          .join(" ")
      }`,
    );
  const names = ["places", "hyper", "start", "steps", "goal", "lowest", "bound"];
  programs.set(text, { made, at: Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(made, name)])) });
  return programs.get(text);
}

function texture(gl, unit, made) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
    gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
}

/** A picture that has room for every size up to now. */
function room(own, columns, rows) {
  const { gl } = own;
  if (columns <= own.size[0] && rows <= own.size[1]) return;
  own.size = [Math.max(columns, own.size[0]), Math.max(rows, own.size[1])];
  gl.deleteTexture(own.picture);
  texture(gl, 1, (own.picture = gl.createTexture()));
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, ...own.size);
  gl.bindFramebuffer(gl.FRAMEBUFFER, own.frame);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, own.picture, 0);
  if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE)
    throw new Error("floats can't be drawn to");
}

/**
 * `compute(job, from, to)` gives the four results of each pixel of these rows, counted from the low end of y.
 * `lost()` is called when the browser takes the context away; `compute` throws from then on. `name()` names the chip.
 */
export function gpu({ shader, lost }) {
  const own = shared(),
    { gl } = own,
    { made, at } = program(own, shader);
  own.lost.add(lost);

  function prepare(/** @type {Job} */ job) {
    const { x, y } = job;
    room(own, x.length, y.length);
    gl.useProgram(made);
    texture(gl, 0, own.places);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, Math.max(x.length, y.length), 2, 0, gl.RED, gl.FLOAT, null);
    [x, y].forEach((row, k) => gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, k, row.length, 1, gl.RED, gl.FLOAT, row));
    gl.uniform1i(at.places, 0);
    if (job.values.length) gl.uniform1fv(at.hyper, job.values);
    if (job.start) gl.uniform1fv(at.start, job.start);
    gl.uniform1i(at.steps, job.steps);
    for (const name of ["goal", "lowest", "bound"]) if (name in job) gl.uniform1f(at[name], job[name]);
    own.job = job;
  }

  return {
    compute(job, from, to) {
      if (own.job !== job) prepare(job);
      const columns = job.x.length,
        floats = new Float32Array(4 * columns * (to - from));
      gl.viewport(0, 0, columns, job.y.length);
      gl.enable(gl.SCISSOR_TEST);
      gl.scissor(0, from, columns, to - from);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
      gl.readPixels(0, from, columns, to - from, gl.RGBA, gl.FLOAT, floats);
      if (gl.isContextLost()) throw new Error("the graphics context was lost");
      return floats;
    },
    /** What the browser calls the chip; some hide it. */
    name() {
      const more = gl.getExtension("WEBGL_debug_renderer_info");
      return gl.getParameter(more ? more.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
    },
    close: () => own.lost.delete(lost),
  };
}
