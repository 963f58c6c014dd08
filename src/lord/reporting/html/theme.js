"use strict";
// The theme: that of the system, light or dark. A page has a function redraw() for its charts.

const THEMES = { "": "theme: system", light: "theme: light", dark: "theme: dark" };

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  colours.clear();
  find("#theme").textContent = THEMES[theme];
  redraw();
}

function remembered() {
  try {
    return localStorage.getItem("lord-theme") || "";
  } catch {
    return "";
  }
}

/** Show the theme that was chosen last, and let its button change it. */
function startTheme() {
  find("#theme").addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme || "") + 1) % names.length];
    try {
      localStorage.setItem("lord-theme", next);
    } catch { /* the choice lasts until the page is closed */ }
    setTheme(next);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(document.documentElement.dataset.theme || ""));
  setTheme(remembered());
}
