// What the explorer and a live run alone share: a page that is drawn anew, with figures and their tables.

import { html, nothing, render } from "lit-html";
import { sprite } from "./figures.js";

const PICTURE = 34, SETTLED = 300;  // pixels on screen; milliseconds without a move
const VIEWS = { runs: "Look up runs", retrain: "Retrain it yourself" };

let pages = 0;  // ids differ between two pages in one

export class Base {
  constructor(root, kernel, options = {}) {
    Object.assign(this, options);
    Object.assign(this, { root, kernel, open: new Set(), width: 0, run: null, own: null, active: true });
    Object.assign(this, { said: [], spoken: "", answer: "" });
    this.id = `grmu${pages++}`;
    root.classList.add("grmu-explorer");
    followTheme(root);
  }

  /** A kernel's news: how its run stands, and what it came to so far. */
  heard(run, own) {
    Object.assign(this, { run, own });
    this.draw();
  }

  draw() {
    if (!this.active) return;
    const before = this.width = this.room() || this.width || 320;
    render(this.view(), this.root);
    if (this.room() && (this.width = this.room()) !== before) render(this.view(), this.root);
  }

  /** A figure's width, in pixels of letters of the usual size; 0 before the first is drawn. */
  room() {
    const letters = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    return Math.round((this.root.querySelector(".plot")?.clientWidth ?? 0) / letters);
  }

  /** Something moved: draw it, and once nothing moves, let the view rest. */
  moved() {
    this.answer = "";
    this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.rest(), SETTLED);
  }

  /** The address of the page holds the setting. */
  address(hash) {
    if (!this.linked || !this.active) return;
    try {
      history.replaceState(null, "", hash);
    } catch {
      this.said = ["This browser does not let the page change its address; “Copy link” gives you the link."];
    }
  }

  /** Buttons that change the view; none beside a kernel, where a cell opens the view that it needs. */
  tabs() {
    return this.go && html`<nav class="actions" aria-label="Views">${Object.entries(VIEWS).map(
      ([name, words]) => html`<button type="button" aria-current=${name === this.name ? "page" : nothing}
        @click=${() => this.go(name)}>${words}</button>`)}</nav>`;
  }

  select(name, words, options, value, set) {
    return html`<div><label for="${this.id}-${name}">${words}</label>
      <select id="${this.id}-${name}" @change=${e => set(e.target.value)}>${options.map(([key, said]) => {
        const is = key === value;
        return html`<option value=${key} ?selected=${is} .selected=${is}>${said}</option>`;
      })}</select></div>`;
  }

  /** `ran` are the values that were computed: each has a tick under the track. */
  slider(name, words, { min, max, step, value, ran, off = false }, readout, spoken, set) {
    return html`<div><label for="${this.id}-${name}">${words}: ${readout}</label>
      <input type="range" id="${this.id}-${name}" min=${min} max=${max} step=${step} .value=${String(value)}
        ?disabled=${off} aria-valuetext=${spoken} @input=${e => set(Number(e.target.value))}>
      <div class="ticks" aria-hidden="true">${ran.map(v =>
        html`<span style="--at:${(v - min) / (max - min)}"></span>`)}</div></div>`;
  }

  /** The test pictures of a group, out of the image of all; each has its marks. */
  sheet(group, marks, said) {
    this.sprite ??= sprite(this.data.pictures);
    return html`<div class="sheet" style="--sprite:url(${this.sprite})" role="img" aria-label=${said}>${
      marks.map((mark, i) => html`<span class=${mark} style="background-position:${-i * PICTURE}px
        ${-group * PICTURE}px; background-size:${this.data.pictures.shown * PICTURE}px"></span>`)}</div>`;
  }

  copyLink(hash) {
    return html`${this.linked ? html`<button type="button" @click=${() =>
      this.copy(location.href.replace(/#.*$/s, "") + hash, "The link")}>Copy link</button>` : ""}
      <span role="status">${this.answer}</span>`;
  }

  /** Into the clipboard; where the browser forbids it, the text is there to be selected. */
  async copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      this.answer = `${what} is copied.`;
    } catch {
      this.answer = `This browser does not let the page copy; here it is: ${text}`;
    }
    this.draw();
  }

  figures(panels) {
    return html`<div class="figures">${panels.map(panel => this.figure(panel))}</div>`;
  }

  figure({ key, title, said, drawing, head, body }) {
    const open = this.open.has(key), id = `${this.id}-${key}-table`;
    return html`<figure><figcaption><h3>${title}</h3><p class="said">${said}</p></figcaption>
      <div class="plot">${drawing}</div>
      ${this.toggle(key, id, "Numbers as a table", title)}
      <div id=${id} class="scroll" tabindex=${open ? 0 : nothing} role=${open ? "region" : nothing}
        aria-label=${open ? title : nothing}>${open ? table(title, head, body) : ""}</div></figure>`;
  }

  toggle(key, id, words, of) {
    return html`<button type="button" aria-expanded=${this.open.has(key)} aria-controls=${id} @click=${() => {
      this.open.has(key) ? this.open.delete(key) : this.open.add(key);
      this.draw();
    }}>${words}<span class="unseen">: ${of}</span></button>`;
  }

  /** What starts and stops a live run, and how far it is; nothing without a kernel. */
  runBar() {
    if (!this.run) return "";
    const { button, busy, closed, failed, step, of, sentence, about } = this.run, off = busy || closed;
    // Buttons that do nothing now keep the focus of the keyboard, which a disabled one would lose.
    return html`<div class="run"><button type="button" class="start" aria-disabled=${String(off)}
        @click=${() => off || this.press()}>${button}</button>
      <button type="button" aria-disabled=${String(!busy)}
        @click=${() => busy && this.kernel.stop()}>Stop</button>
      <progress max=${of} value=${step} aria-label="epochs that are done"></progress>
      <span class=${failed ? "failed-run" : ""}>${sentence}</span>
      <span class="unseen" role="status">${busy ? about : sentence}</span></div>`;
  }

  press() {
    this.own = null;  // the last run's
    this.draw();
    this.kernel.press();
  }
}

const table = (words, head, body) => html`<table><caption>${words}</caption><thead><tr>${head.map(cell =>
  html`<th scope="col">${cell}</th>`)}</tr></thead><tbody>${body.map(([first, ...cells]) => html`<tr>
  <th scope="row">${first}</th>${cells.map(cell => html`<td>${cell}</td>`)}</tr>`)}</tbody></table>`;

/** Dark where the page around is: by its attribute (the site, JupyterLab), else by the system. */
function followTheme(root) {
  const system = matchMedia("(prefers-color-scheme: dark)"), page = document.documentElement;
  const follow = () => {
    const said = page.dataset.theme ?? { true: "light", false: "dark" }[document.body.dataset.jpThemeLight];
    root.classList.toggle("dark", said ? said === "dark" : system.matches);
  };
  system.addEventListener("change", follow);
  for (const element of [page, document.body]) {
    new MutationObserver(follow).observe(element, { attributeFilter: ["data-theme", "data-jp-theme-light"] });
  }
  follow();
}
