// The theme's arrows in the list of pages have no name.
document.querySelectorAll(".toctree-toggle").forEach(arrow => {
  arrow.parentElement.setAttribute("aria-label", "pages of this section");
});
