// One module for three places: a page (elements with data-grmu-explorer), the site's pages, and anywidget.

import { mount as mountInto } from "./page.js";
import shipped from "./shipped.txt";
import style from "./style.css";

export function mount(root, options) {
  if (!document.getElementById("grmu-explorer-style")) {
    document.head.append(Object.assign(document.createElement("style"), { id: "grmu-explorer-style", textContent: style }));
  }
  return mountInto(root, shipped, options);
}

for (const root of document.querySelectorAll("[data-grmu-explorer]")) {
  mount(root, { linked: root.dataset.grmuExplorer !== "fixed" });
}

/** What anywidget calls: the model's `choice` and the page's follow each other; `own` is a live run, drawn as it grows. */
export default {
  async render({ model, el }) {
    let said = "";  // last by the page itself: no news to it
    // JupyterLab's shortcuts would take the arrow keys from a slider; it looks at what has the focus, not around it.
    el.addEventListener("focusin", event => { event.target.dataset.lmSuppressShortcuts = "true"; });
    const page = await mount(el, { choice: model.get("choice"), onchange: choice => {
      said = JSON.stringify(choice);
      model.set("choice", choice);
      model.save_changes();
    } });
    const differs = choice => JSON.stringify(choice) !== said;
    model.on("change:choice", () => { if (differs(model.get("choice"))) page?.show(model.get("choice")); });
    model.on("change:own", () => page?.own(model.get("own")));
  },
};
