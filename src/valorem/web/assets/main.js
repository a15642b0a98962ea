// Every page reads without this; here is what makes it quicker to use.
import "./palette.js";
import "./copy.js";

document.documentElement.classList.remove("no-script");

if (document.querySelector("[data-live]")) import("./live.js");
if (document.querySelector("figure.chart")) import("./chart.js");

// A menu closes when one looks elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});

// A form is sent once, however often it is clicked.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  window.setTimeout(() => { delete form.dataset.sent; }, 4000);
});
window.addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("main details:not([open])")) { each.open = true; each.dataset.printed = "yes"; }
});
window.addEventListener("afterprint", () => {
  for (const each of document.querySelectorAll("main details[data-printed]")) { each.open = false; delete each.dataset.printed; }
});
