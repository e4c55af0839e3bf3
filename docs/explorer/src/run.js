// A live run without the explorer around it: its button, and its curves as they grow.

import { html } from "lit-html";
import { Base } from "./base.js";
import { legend } from "./figures.js";
import { OWN, runPanels } from "./panels.js";

export class RunPage extends Base {
  view() {
    const { own, width } = this;
    return html`${this.runBar()}${own ? html`${legend(OWN)}${this.figures(runPanels({ own }, width))}` : ""}`;
  }
}
