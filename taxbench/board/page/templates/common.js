"use strict";
// What both pages do alike: the state in the address, light and dark, links inside the page, and the dialog.
const root = document.documentElement;
root.classList.add("js");
const $ = (id) => document.getElementById(id);
const plain = (text) => text.toLowerCase().replace(/\s+/g, " ");

// The state stands in the address, so that a view can be kept or sent. Whatever is there is only compared.
function readAddress(fresh) {
  const given = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(Object.entries(fresh).map(([key, usual]) => [key, given.has(key) ? given.get(key) : usual]));
}

function writeAddress(state, fresh, push) {
  const hash = "#" + new URLSearchParams(Object.entries(state).filter(([key, value]) => value !== fresh[key]));
  if (hash === (location.hash || "#")) return;
  history[push ? "pushState" : "replaceState"](null, "", hash);
}

function isDark(state) {
  return state.theme ? state.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function showTheme(state) {
  if (state.theme === "dark" || state.theme === "light") root.dataset.theme = state.theme;
  else delete root.dataset.theme;
  $("theme").textContent = isDark(state) ? "Light" : "Dark";
  $("theme").hidden = false;
}

// Called once: `returned` when the address has changed, `redraw` when the system turns dark or light.
function prepare(returned, redraw) {
  const sheet = $("sheet");
  $("close").addEventListener("click", () => sheet.close());
  sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
  for (const link of document.querySelectorAll("nav a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault(); // the address keeps the state
      const target = document.querySelector(link.getAttribute("href"));
      target.scrollIntoView();
      target.tabIndex = -1;
      target.focus({ preventScroll: true });
    });
  }
  addEventListener("popstate", returned);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  $("filters").open = innerWidth > 720; // on a phone what is found comes first
}
