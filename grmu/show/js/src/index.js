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

/** What anywidget calls: the model's `choice` and the page's follow each other. */
export default {
  async render({ model, el }) {
    const show = await mount(el, { choice: model.get("choice"), onchange: choice => {
      model.set("choice", choice);
      model.save_changes();
    } });
    model.on("change:choice", () => show?.(model.get("choice")));
  },
};
