// What arrives compressed: programs that are ten times as long as everything else in the page, and pictures.

async function stream(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")));
}

/** The text that was compressed by zlib and written in base64; "" stays "". */
export const inflate = async (text) => (text ? (await stream(text)).text() : "");

/** The bytes that were. */
export const inflateBytes = async (text) => new Uint8Array(await (await stream(text)).arrayBuffer());
