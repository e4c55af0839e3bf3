// One module for three places: a page (elements with data-grmu-explorer), the site's pages, and anywidget.

import { mount as mountInto } from "./page.js";
import { RunPage } from "./run.js";
import shipped from "./shipped.txt";
import style from "./style.css";

export function mount(root, options) {
  addStyle();
  return mountInto(root, shipped, options);
}

function addStyle() {
  const id = "grmu-explorer-style";
  if (!document.getElementById(id)) {
    document.head.append(Object.assign(document.createElement("style"), { id, textContent: style }));
  }
}

for (const root of document.querySelectorAll("[data-grmu-explorer]")) {
  mount(root, { linked: root.dataset.grmuExplorer !== "fixed" });
}

/**
 * What anywidget calls. `choice` and the page's follow each other; a model without one is a live run alone.
 * `run` says how a run stands, `own` is what it came to so far; a button's press is a message.
 */
export default {
  async render({ model, el }) {
    addStyle();
    let said = "";  // last by the page itself: no news to it
    // JupyterLab's shortcuts would take the arrow keys from a slider; it looks at what has the focus alone.
    el.addEventListener("focusin", event => { event.target.dataset.lmSuppressShortcuts = "true"; });
    const kernel = { press: () => model.send("press"), stop: () => model.send("stop") };
    const choice = model.get("choice"), page = !choice ? new RunPage(el, kernel)
      : await mount(el, { choice, kernel, onchange: settled => {
        said = JSON.stringify(settled);
        model.set("choice", settled);
        model.save_changes();
      } });
    if (!page) return undefined;
    const news = {
      "change:choice": () => {
        if (JSON.stringify(model.get("choice")) !== said) page.show(model.get("choice"));
      },
      "change:run": () => page.heard(model.get("run"), model.get("own")),
      "change:own": () => page.heard(model.get("run"), model.get("own")),
    };
    for (const [event, answer] of Object.entries(news)) model.on(event, answer);
    page.heard(model.get("run"), model.get("own"));
    return () => { for (const [event, answer] of Object.entries(news)) model.off(event, answer); };
  },
};
