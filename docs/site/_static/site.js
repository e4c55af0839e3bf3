// The theme's arrows in the list of pages have no name.
document.querySelectorAll(".toctree-toggle").forEach(arrow => {
  arrow.parentElement.setAttribute("aria-label", "pages of this section");
});
// Paper is white.
const root = document.documentElement;
let theme = root.dataset.theme;
addEventListener("beforeprint", () => { theme = root.dataset.theme; root.dataset.theme = "light"; });
addEventListener("afterprint", () => { root.dataset.theme = theme; });
