// The portal reads without this; here its numbers move, its charts answer to a pointer, and its frame learns its height.
const root = document.documentElement;
root.classList.remove("no-script");
if (document.querySelector("figure.chart")) import("./chart.js");

// Whoever frames the page is told how high it is, and when it is over; nobody else hears it.
const origin = root.dataset.origin;
function tell(message) {
  if (origin && window.parent !== window) window.parent.postMessage(message, origin);
}
if (origin && window.parent !== window) {
  root.classList.add("framed");
  let last = 0;
  const measure = () => {
    const height = Math.ceil(document.body.getBoundingClientRect().height);
    if (height !== last) tell({ type: "valorem:height", height: (last = height) });
  };
  new ResizeObserver(measure).observe(document.body);
  measure();
  tell({ type: "valorem:page" });
}
if (root.dataset.ended) tell({ type: "valorem:expired" });

// Numbers move while events arrive. A message is {text, values: {id: {text, value}}}.
const state = document.querySelector("[data-live]");
if (state) {
  const said = state.querySelector("span");
  let stream = null;
  let timer = 0;
  let lastText = said.textContent;
  const show = (kind, text) => { state.dataset.state = kind; if (said.textContent !== text) said.textContent = text; };
  const apply = (values) => {
    const chosen = document.getSelection();
    for (const [id, next] of Object.entries(values)) {
      const place = document.getElementById(id);
      if (!place) continue;
      if (place.matches("progress, meter, rect")) {
        place.setAttribute(place.tagName === "rect" ? "width" : "value", next.value);
        continue;
      }
      const text = place.querySelector("bdi") || place;
      if (text.textContent === next.text) continue;
      if (chosen && !chosen.isCollapsed && chosen.containsNode(place, true)) continue;
      text.textContent = next.text;
      if (next.value !== undefined && place.tagName === "DATA") place.setAttribute("value", next.value);
      place.classList.remove("changed");
      void place.offsetWidth;
      place.classList.add("changed");
    }
  };
  const heard = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => { show("lost", `${lastText} · ${state.dataset.lost}`); close(); open(); }, 40000);
  };
  const open = () => {
    stream = new EventSource(state.dataset.live);
    stream.addEventListener("numbers", (event) => {
      const message = JSON.parse(event.data);
      lastText = message.text;
      apply(message.values);
      show("live", message.text);
      if (message.crossed) document.getElementById("live-said").textContent = message.crossed;
      document.dispatchEvent(new CustomEvent("valorem:numbers", { detail: message }));
      heard();
    });
    stream.addEventListener("beat", heard);
    stream.addEventListener("over", () => { close(); show("lost", state.dataset.over); tell({ type: "valorem:expired" }); });
    stream.onerror = () => show("lost", `${lastText} · ${state.dataset.lost}`);
  };
  const close = () => { if (stream) stream.close(); stream = null; window.clearTimeout(timer); };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { close(); show("paused", lastText); } else if (!stream) open();
  });
  window.addEventListener("pagehide", close);
  open();
}

// A form is sent once, however often it is clicked; a choice that has a button sends itself.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  window.setTimeout(() => { delete form.dataset.sent; }, 4000);
});
for (const each of document.querySelectorAll("select[data-sends]")) {
  each.addEventListener("change", () => each.form.requestSubmit());
}
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
window.addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("main details:not([open])")) { each.open = true; each.dataset.printed = "yes"; }
});
window.addEventListener("afterprint", () => {
  for (const each of document.querySelectorAll("main details[data-printed]")) { each.open = false; delete each.dataset.printed; }
});
