// The view "Look up runs": controls, sentences, figures. All is drawn from the choice, which a move changes.

import { html } from "lit-html";
import { Base } from "./base.js";
import { unpack } from "./data.js";
import { legend } from "./figures.js";
import { OWN, look, panels, picturesOf } from "./panels.js";
import {
  GOLD, RETRAIN, START, computed, find, label, lamsOf, nearest, same, settle, whoOf } from "./state.js";
import { Retrain } from "./retrain.js";
import { choiceOf, hashOf, note, python, saidOfMissing, title } from "./words.js";

const ALL = "all";

/**
 * Put an explorer into an element.
 * @param root  what it holds is replaced.
 * @param text  the packed data.
 * @param options  choice: to begin with.  linked: the page's address holds the setting.
 *   onchange: told every settled choice.  kernel: {press, stop}, where a run can be trained.
 * @returns  the page, whose `show` takes another choice and whose `heard` takes a kernel's run (how it
 *   stands; its `epochs`, of how many, and once it is done its `metrics` and `groups`); null where the
 *   explorer could not start (the element says why).
 */
export async function mount(root, text,
  { choice = {}, linked = false, onchange = () => {}, kernel = null } = {}) {
  root.classList.add("grmu-explorer");
  try {
    const data = await unpack(text);
    root.replaceChildren();
    return open(root, { runs: new Page(root, kernel, { data, linked, onchange }),
      retrain: new Retrain(root, null, { data, linked, onchange }) }, choice, kernel);
  } catch (error) {
    root.classList.add("failed");  // what the page says without an explorer is seen again
    root.insertAdjacentHTML("afterbegin", "<p class='warning' role='alert'></p>");
    root.firstChild.textContent = `The explorer cannot be shown. ${error.message}`;
    return null;
  }
}

/** Show the view that the address or the choice names, and let the reader change it. */
function open(root, views, choice, kernel) {
  const go = (name, { choice: chosen, said } = { choice: views[name].choice ?? {}, said: [] }) => {
    for (const view of Object.values(views)) view.active = view === views[name];
    views[name].show(chosen, said);
  };
  const follow = () => {
    const asked = new URLSearchParams(location.hash.slice(1)), { version } = views.runs.data;
    const isRetrain = asked.get("view") === "retrain" && asked.get("v") === String(version);
    const name = isRetrain ? "retrain" : "runs";
    const link = views.runs.linked ? views[name].read(location.hash) : null;
    if (link) go(name, link);
    return Boolean(link);
  };
  for (const [name, view] of Object.entries(views)) Object.assign(view, { name, go: kernel ? null : go });
  addEventListener("hashchange", follow);
  new ResizeObserver(() => Object.values(views).forEach(view => view.draw())).observe(root);
  const { view: first = "runs", ...rest } = choice;
  if (!follow()) go(first, { choice: rest, said: [] });
  return views[first];
}

/** Is a live run one of the setting that is shown? Of whichever seed. */
const alike = (one, other) =>
  ["who", "method", "reweight", "lam", "ratio"].every(name => one[name] === other[name]);

class Page extends Base {
  read(hash) {
    return choiceOf(this.data, hash);
  }

  /** Show a choice; what of it was never run is replaced, and said. */
  show(choice, said = []) {
    const settled = settle(this.data, { ...START, ...choice });
    this.choice = settled.choice;
    this.said = [...said, ...settled.said];
    this.shown = find(this.data, this.choice);
    this.moved();
  }

  /** Once nothing moves: what changed is spoken, and the address holds the setting. */
  rest() {
    this.spoken = [...this.said, title(this.data, this.shown), note(this.data, this.shown)].join(" ");
    this.address(hashOf(this.data, this.choice));
    this.onchange(this.choice);
    this.draw();
  }

  /** Train what the controls say, also where they moved a moment ago. */
  press() {
    if (this.onlyLambda()) this.show({ ...this.choice, lam: this.shown.lam });
    clearTimeout(this.timer);
    this.rest();
    super.press();
  }

  view() {
    const { data } = this, own = this.own && alike(this.own.choice, this.choice) ? this.own : null;
    const shown = { ...this.shown, own }, marks = [["idle", "original model (PRETRAIN)"]];
    const { kind, hue } = look(data, shown), answers = picturesOf(data, shown);
    if (kind === "filled" || kind === "hollow") marks.push([kind, label(data, shown), hue]);
    if (!same(shown, RETRAIN)) marks.push(["hollow", "RETRAIN"]);
    marks.push(["gold", "gold standard: " + label(data, GOLD)]);
    if (shown.byRatio.theory.length) marks.push(["theory", "prediction of the prior shift for RETRAIN"]);
    if (own) marks.push(...OWN);
    return html`${this.tabs()} ${this.controls()} ${this.runBar()}
      ${this.said.map(sentence => html`<p class="warning">${sentence}</p>`)}
      <h2>${title(data, shown)}</h2>
      <p class="note">${note(data, shown)} ${shown.n < data.least
        ? "There is no interval with fewer than five seeds." : "Bars are 95 % intervals over seeds."}</p>
      <p class="unseen" role="status">${this.spoken}</p>
      ${legend(marks)}
      ${this.figures(panels(data, shown, this.width, Boolean(this.run)))}
      ${answers ? this.pictures(answers) : ""}
      <p class="missing">${saidOfMissing(data, shown, answers)}</p> ${this.actions()}`;
  }

  controls() {
    const { data, choice } = this, who = whoOf(data, choice), methods = computed(data, choice);
    const set = change => this.show({ ...this.choice, ...change }), ratio = +choice.ratio.toFixed(2);
    return html`<fieldset class="controls"><legend class="unseen">What is shown</legend>
      ${this.select("data", "data set", Object.entries(data.datasets), who.dataset,
        v => set({ who: data.who.find(w => w.dataset === v).key }))}
      ${this.select("who", "group that requests deletion",
        data.who.filter(w => w.dataset === who.dataset).map(w => [w.key, w.name]), choice.who,
        v => set({ who: v }))}
      ${this.select("method", "method", Object.keys(methods).map(m => [m, data.methods[m].name]),
        choice.method, v => set({ method: v,
          reweight: methods[v].includes(choice.reweight) ? choice.reweight : methods[v][0] }))}
      <div class="check"><input type="checkbox" id="${this.id}-reweight" .checked=${choice.reweight}
        ?disabled=${methods[choice.method].length === 1} @change=${e => set({ reweight: e.target.checked })}>
        <label for="${this.id}-reweight">REWEIGHT: sample the remaining ${who.things} in the original
        proportions</label></div>
      ${this.slider("ratio", "unlearning ratio",
        { min: 0.05, max: 0.95, step: 0.05, value: choice.ratio, ran: this.shown.ratios }, `${ratio}`,
        `share of the group that is forgotten: ${ratio}, shown ${this.shown.ratio}`,
        v => set({ ratio: v }))}
      ${choice.method === "miu" ? this.lambda(set) : ""}
      ${this.select("seed", "seeds", [[ALL, "all five"], ...data.seeds.map(s => [String(s), String(s)])],
        String(choice.seed ?? ALL), v => set({ seed: v === ALL ? null : Number(v) }))}</fieldset>`;
  }

  /** Is there one lambda to choose? A kernel can train those that were not computed at this ratio. */
  onlyLambda() {
    return this.shown.isMiu && (this.run ? lamsOf(this.data, this.choice) : this.shown.lams).length === 1;
  }

  /** A slider over the lambdas that were run anywhere for those who ask: they lie from 0 to hundreds. */
  lambda(set) {
    const { data, choice, shown } = this, lams = lamsOf(data, choice), only = this.onlyLambda();
    const near = only ? shown.lam : nearest(choice.lam, lams);
    return this.slider("lam", "λ, weight of the calibration",
      { min: 0, max: Math.max(lams.length - 1, 1), step: 1, value: lams.indexOf(near), off: only,
        ran: shown.lams.map(v => lams.indexOf(v)) },
      `${near}${only ? ", the only one computed here" : ""}`, `λ = ${near}, shown ${shown.lam}`,
      v => set({ lam: lams[v] }));
  }

  pictures(rows) {
    const many = rows[0].shares.length;
    return html`<h3>The first ${many} test pictures of every group: ✕ where the model is wrong${
      this.shown.seed === null ? " in most of the five seeds" : ""}</h3>
      ${rows.map(({ name, asked, before, after, shares }, g) => html`
        <p>${name}${asked ? " – forget group" : ""}: ${before} right before, ${after} after</p>
        ${this.sheet(g, shares.map(share => share > 0.5 ? "" : "wrong"),
          `${name}: ${after} of ${many} right`)}`)}`;
  }

  actions() {
    const { data, shown, choice } = this, id = `${this.id}-python-text`, text = python(data, shown);
    return html`<div class="actions">
      <button type="button" @click=${() => this.copy(text, "The Python")}>Copy as Python</button>
      ${this.toggle("python", id, "Show the Python", "of this setting")}
      ${this.copyLink(hashOf(data, choice))}</div>
      <div id=${id}>${this.open.has("python") ? html`
        <pre tabindex="0" role="region" aria-label="Python of this setting">${text}</pre>` : ""}</div>`;
  }
}
