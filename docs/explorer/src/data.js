// What docs/build_explorer.py packed, as base64 of deflated bytes: a line of JSON, in which a table is a list
// for each column, and then the bytes of the last layer's samples.

export const TOO_OLD = "This browser is too old for the explorer, which needs Chrome or Edge 111, " +
  "Firefox 113, Safari 16.4, or a newer one.";

export async function unpack(text) {
  const mixes = globalThis.CSS?.supports("color", "color-mix(in srgb, red, red)") ?? true;  // Node draws none
  if (typeof DecompressionStream === "undefined" || !mixes) throw new Error(TOO_OLD);
  const bytes = Uint8Array.from(atob(text.trim()), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const unpacked = new Uint8Array(await new Response(stream).arrayBuffer()), end = unpacked.indexOf(10);
  const found = JSON.parse(new TextDecoder().decode(unpacked.subarray(0, end)));
  found.bytes = unpacked.subarray(end + 1);
  const { fine, rows: columns } = found;
  const measured = new Set(found.metrics);
  const names = Object.keys(columns);
  found.rows = columns.who.map((_, i) => Object.fromEntries(names.map(name => [name,
    name === "groups" ? columns.groups.map(group => fraction(group[i], fine))
      : measured.has(name) ? fraction(columns[name][i], fine) : columns[name][i]])));
  found.runs = new Map();
  for (const row of found.rows) {
    const key = `${row.who}/${row.method}/${row.reweight}`;
    found.runs.has(key) ? found.runs.get(key).push(row) : found.runs.set(key, [row]);
  }
  return found;
}

const fraction = (value, fine) => value === null || value === undefined ? NaN : value / fine;
