// Three kinds of figures, as SVG: rows of marks, lines, and points beside a threshold. Fractions
// in, percent drawn. A unit is a pixel, or more where letters are larger.

import { html, svg } from "lit-html";

const EDGE = 12;  // of the plot, so that marks and labels at 0 and 100 are whole
const SHARES = [0, 0.25, 0.5, 0.75, 1];
const TICK = { seed: 4, predicted: 8 };  // half the length of marks that lie on bars
const UNDER = { network: 12 };  // how far below its bar a mark lies
const LINE = 16, LETTER = 6.9;  // pixels of a label's line, and of a letter on average
const STAR = "l2.6 6 6.4.6-4.8 4.3 1.4 6.3-5.6-3.3-5.6 3.3 1.4-6.3-4.8-4.3 6.4-.6z";

const clamp = (v, max) => Math.min(Math.max(v, 0), max);

/** One mark of a kind at (x, y); its interval lies along the axis that measures. */
function mark(kind, x, y, hue = "var(--ink)") {
  const style = `--hue:${hue}`;
  switch (kind) {
    case "idle": return svg`<circle class="idle" cx=${x} cy=${y} r="5.5"/>`;
    case "gold": return svg`<line class="gold" x1=${x} x2=${x} y1=${y - 12} y2=${y + 12}/>`;
    case "theory": return svg`<path class="theory" d="M${x - 7} ${y}l7 -7 7 7 -7 7z"/>`;
    case "own": return svg`<path class="own" style=${style} d="M${x} ${y - 9}${STAR}"/>`;
    case "full": return svg`<path class="full" style=${style} d="M${EDGE} ${y}H${x}"/>`;
    case "outlined": return svg`<path class="full" style=${style} d="M${EDGE} ${y}H${x}"/>
      <path class="hole" d="M${EDGE + 1.5} ${y}H${Math.max(x - 1.5, EDGE + 1.5)}"/>`;
    case "seed": case "predicted": return tick(kind, kind, x, y);
    case "network": return svg`<path class="network" d="M${x - 4} ${y}l4 -4 4 4 -4 4z"/>`;
    case "ring": return svg`<circle class="own" cx=${x} cy=${y} r="4.5"/>`;
    case "hollow": return svg`<circle class="hollow" style=${style} cx=${x} cy=${y} r="5"/>`;
    default: return svg`<circle class="filled" style=${style} cx=${x} cy=${y} r="5.5"/>`;
  }
}

const tick = (kind, look, x, y) => TICK[kind]
  && svg`<path class=${look} d="M${x} ${y - TICK[kind]}v${2 * TICK[kind]}"/>`;
const bar = (x1, x2, y, hue) => svg`<path class="bar" style="--hue:${hue ?? "var(--ink)"}"
  d="M${x1} ${y - 4}v8M${x1} ${y}H${x2}M${x2} ${y - 4}v8"/>`;
const upright = (x, y1, y2, hue) => svg`<path class="bar" style="--hue:${hue ?? "var(--ink)"}"
  d="M${x - 4} ${y1}h8M${x} ${y1}V${y2}M${x - 4} ${y2}h8"/>`;

/** A row a measure: `rows` of {label, value, bars and marks: [{kind, mean, half, hue, shift}], link}. */
export function dots(rows, width, said, { max = 1, ticks = SHARES, high: tall = 34 } = {}) {
  const x = v => EDGE + clamp(v, max) / max * (width - 2 * EDGE);
  const broken = rows.map(row => ({ ...row,
    lines: wrap(row.label, width - LETTER * (row.value.length + 3)) }));
  const high = row => tall + LINE * row.lines.length;
  const top = i => broken.slice(0, i).reduce((sum, row) => sum + high(row), 0);
  const height = top(rows.length) + 22;
  return html`<svg role="img" aria-label=${said} viewBox="0 0 ${width} ${height}">
    ${ticks.map(t => svg`<path class="grid" d="M${x(t)} 4V${height - 18}"/>
      <text class="tick" x=${x(t)} y=${height - 3} text-anchor="middle">${+(100 * t).toFixed(1)}</text>`)}
    ${broken.map((row, i) => dotsRow(row, top(i), x, width))}</svg>`;
}

function dotsRow({ lines, value, bars = [], marks, link, strong }, top, x, width) {
  const y = top + LINE * lines.length + 17;
  return svg`${lines.map((words, i) => svg`<text class=${strong ? "label strong" : "label"}
      x="0" y=${top + 13 + LINE * i}>${words}</text>`)}
    <text class="value" x=${width} y=${top + 13} text-anchor="end">${value}</text>
    ${link ? svg`<path class="link" style="--hue:${link.hue}" d="M${x(link.from)} ${y}H${x(link.to)}"/>` : ""}
    ${bars.map(({ kind, mean, hue, shift }) => mark(kind, x(mean), y + shift, hue))}
    ${marks.map(({ kind, mean, shift = 0 }) => tick(kind, "halo", x(mean), y + shift))}
    ${marks.map(({ kind, mean, half, hue, shift = 0 }) => half > 0
      ? bar(x(mean - half), x(mean + half), y + shift + (UNDER[kind] ?? 0), hue) : "")}
    ${marks.map(({ kind, mean, hue, shift = 0 }) => Number.isNaN(mean) ? ""
      : mark(kind, x(mean), y + shift + (UNDER[kind] ?? 0), hue))}`;
}

/**
 * Scores as points: `rows` of {label, hue, scores}; the threshold is at `now`, and at 0 if nothing is
 * forgotten.
 */
export function strip(rows, width, said, max, now) {
  const x = v => EDGE + (Math.min(Math.max(v / max, -1), 1) + 1) / 2 * (width - 2 * EDGE);
  const points = (scores, top) => Array.from(scores, (v, i) =>
    `M${x(v).toFixed(1)} ${(top + 52 * (0.618 * i % 1)).toFixed(1)}h0`).join("");
  const words = [["threshold now", clamp(x(now) - 45, width - 90) + 45, 12, "middle"],
    ["← boot", 0, 210, "start"], ["threshold if nothing is forgotten", x(0), 210, "middle"],
    ["sneaker →", width, 210, "end"]];
  return html`<svg role="img" viewBox="0 0 ${width} 214" aria-label=${said}>
    ${rows.map(({ label, hue, scores }, i) => svg`<text class="label" x="0" y=${32 + 90 * i}>${label}</text>
      <path class="dots" style="--hue:${hue}" d=${points(scores, 44 + 90 * i)}/>`)}
    <path class="was" d="M${x(0)} 18V196"/><path class="threshold" d="M${x(now)} 18V196"/>
    ${words.map(([text, at, y, anchor]) =>
      svg`<text class="tick" x=${at} y=${y} text-anchor=${anchor}>${text}</text>`)}</svg>`;
}

/** Words in lines that fit. */
function wrap(words, width) {
  const fits = Math.max(Math.floor(width / LETTER), 10);
  return words.split(" ").reduce((lines, word) => {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    return lines.length && longer.length <= fits ? [...lines.slice(0, -1), longer] : [...lines, word];
  }, []);
}

/**
 * Values against a setting: `series` of {kind, hue, points: [{at, mean, half}], end}; a band where `at` is.
 * `end` are two lines of words beside the last point.
 */
export function lines(series, width, said, { at, ticks, place, name, marks = [], up = SHARES, unit = 100 }) {
  const height = 230, left = up === SHARES ? 30 : 44, bottom = 36;
  const labelled = series.filter(one => one.end), right = labelled.length ? 152 : 14;
  const [low, high] = [up[0], up.at(-1)];
  const x = v => left + 8 + place(v) * (width - left - right - 8);
  const y = v => 8 + (1 - clamp((v - low) / (high - low), 1)) * (height - bottom - 8);
  return html`<svg role="img" aria-label=${said} viewBox="0 0 ${width} ${height}">
    ${at === undefined ? ""
      : svg`<rect class="band" x=${x(at) - 8} y="4" width="16" height=${height - bottom}/>`}
    ${up.map(t => svg`<path class="grid" d="M${left} ${y(t)}H${width - right + 6}"/>
      <text class="tick" x=${left - 5} y=${y(t) + 4} text-anchor="end">${+(unit * t).toFixed(2)}</text>`)}
    ${ticks.map(t => svg`<text class="tick" x=${x(t)} y=${height - bottom + 17}
      text-anchor="middle">${t}</text>`)}
    <text class="tick" x=${(left + width) / 2} y=${height - 3} text-anchor="middle">${name}</text>
    ${series.map(one => line(one, x, y))}
    ${endings(labelled.map(one => ({ ...one, last: one.points.at(-1) })), x, y, height - bottom)}
    ${marks.map(m => mark(m.kind, x(m.at), y(m.mean)))}</svg>`;
}

function line({ kind, hue = "var(--ink)", points }, x, y) {
  const path = points.map((p, i) => `${i ? "L" : "M"}${x(p.at)} ${y(p.mean)}`).join("");
  const drawn = ["hollow", "filled", "own", "ring"].includes(kind);
  return svg`<path class="line ${kind}-line" style="--hue:${hue}" d=${path}/>
    ${points.map(p => svg`${p.half > 0 ? upright(x(p.at), y(p.mean + p.half), y(p.mean - p.half), hue) : ""}
      ${drawn ? mark(kind, x(p.at), y(p.mean), hue) : ""}`)}`;
}

/** The words at the ends of lines, moved apart where they would overlap. */
function endings(labelled, x, y, bottom) {
  const sorted = labelled.sort((a, b) => b.last.mean - a.last.mean), tall = 2 * LINE;
  const at = sorted.map(({ last }) => y(last.mean));
  for (let i = 1; i < at.length; i++) at[i] = Math.max(at[i], at[i - 1] + tall);
  for (let i = at.length - 1; i >= 0; i--) at[i] = Math.min(at[i], (at[i + 1] ?? bottom + LINE / 2) - tall);
  return sorted.map(({ end, hue, last }, i) => svg`${mark("filled", x(last.at) + 14, at[i], hue)}
    ${end.map((words, row) => svg`<text class="tick" x=${x(last.at) + 23} y=${at[i] + 4 + 14 * row}
      >${words}</text>`)}`);
}

/** A swatch of a kind of mark, as it stands in both kinds of figures. */
function swatch(kind, hue = "var(--ink)") {
  const isBar = kind === "full" || kind === "outlined";
  const path = isBar || kind === "theory" || TICK[kind] ? ""
    : kind === "gold" ? "M0 12H14M26 12H40" : "M0 12H40";
  return html`<svg aria-hidden="true" width="40" height="24">
    <path class="line ${kind}-line" style="--hue:${hue}" d=${path}/>
    ${mark(kind, isBar ? 36 : 20, 12, hue)}</svg>`;
}

/** What the marks are; the chosen method has its colour everywhere but in the groups' own panel. */
export const legend = entries => html`<ul class="legend">${entries.map(([kind, words, hue]) =>
  html`<li>${swatch(kind, hue)}${words}</li>`)}</ul>`;

/** All pictures as one image: a row a group. */
export function sprite({ size, shades }) {
  const many = shades[0].length / size ** 2, canvas = document.createElement("canvas");
  Object.assign(canvas, { width: many * size, height: shades.length * size });
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);  // opacity in the last byte, on all browsers' processors
  shades.forEach((group, g) => {
    for (let i = 0; i < group.length; i++) {
      const n = Math.floor(i / size ** 2), y = Math.floor(i % size ** 2 / size), x = i % size;
      pixels[(g * size + y) * canvas.width + n * size + x] = 0xff000000 + 0x111111 * parseInt(group[i], 16);
    }
  });
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}
