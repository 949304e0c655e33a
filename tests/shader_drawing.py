"""A generated shader, drawn in a page: what it writes for each pixel."""

import base64
from collections.abc import Sequence

import numpy as np
import torch
from playwright.sync_api import Page

_RUN = r"""({ text, x, y, hyper, start, steps, uniforms }) => {
  const gl = (window.gl ??= document.createElement("canvas").getContext("webgl2"));
  if (!gl?.getExtension("EXT_color_buffer_float")) throw new Error("this Chromium has no WebGL2 that draws to floats");
  const program = gl.createProgram(), at = (name) => gl.getUniformLocation(program, name);
  const corners = "#version 300 es\nvoid main() { gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1); }";
  for (const [kind, source] of [[gl.VERTEX_SHADER, corners], [gl.FRAGMENT_SHADER, text]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  gl.useProgram(program);
  const texture = (format, width, height) => {
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
    return gl.getParameter(gl.TEXTURE_BINDING_2D);
  };
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture(gl.RGBA32F, x.length, y.length), 0);
  texture(gl.R32F, Math.max(x.length, y.length), 2);
  [x, y].forEach((row, k) => gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, k, row.length, 1, gl.RED, gl.FLOAT, Float32Array.from(row)));
  if (hyper.length) gl.uniform1fv(at("hyper"), hyper);
  if (start.length) gl.uniform1fv(at("start"), start);
  gl.uniform1i(at("steps"), steps);
  for (const [name, value] of Object.entries(uniforms)) gl.uniform1f(at(name), value);
  gl.viewport(0, 0, x.length, y.length);
  gl.drawArrays(gl.TRIANGLES, 0, 3);
  const floats = new Float32Array(4 * x.length * y.length);
  gl.readPixels(0, 0, x.length, y.length, gl.RGBA, gl.FLOAT, floats);
  if (gl.getError()) throw new Error("WebGL complains");
  return btoa(Array.from(new Uint8Array(floats.buffer), (byte) => String.fromCharCode(byte)).join(""));
}"""


def draw_shader(
    page: Page,
    text: str,
    x: Sequence[float],
    y: Sequence[float],
    hyper: Sequence[float],
    steps: int,
    start=(),
    **uniforms: float,
) -> tuple[torch.Tensor, ...]:
    """The four results of a shader, each (len(y), len(x)) in float32. `uniforms`: those that are one number, by name."""
    job = {
        "text": text,
        "x": list(x),
        "y": list(y),
        "hyper": list(hyper),
        "steps": steps,
        "start": list(start),
        "uniforms": uniforms,
    }
    floats = np.frombuffer(base64.b64decode(page.evaluate(_RUN, job)), dtype=np.float32).copy()
    return torch.from_numpy(floats).reshape(len(y), len(x), 4).unbind(-1)
