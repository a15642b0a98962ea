// Numbers move while events arrive. One stream a page; a message is {at, values: {id: {text, value}}}.
const state = document.querySelector("[data-live]");
const said = document.getElementById("live-state");
let stream = null;
let lastAt = "";
let timer = 0;

function show(kind, text) {
  state.dataset.state = kind;
  said.textContent = text;
}

function clock(at) {
  return at ? at.slice(11, 19) : "";
}

function apply(values) {
  const chosen = document.getSelection();
  for (const [id, next] of Object.entries(values)) {
    const place = document.getElementById(id);
    if (!place || place.textContent === next.text) continue;
    if (chosen && !chosen.isCollapsed && chosen.containsNode(place, true)) continue;
    place.textContent = next.text;
    if (next.value !== undefined) place.setAttribute("value", next.value);
    place.classList.remove("changed");
    void place.offsetWidth;
    place.classList.add("changed");
  }
}

function heard() {
  window.clearTimeout(timer);
  timer = window.setTimeout(() => {
    show("lost", lastAt ? `as of ${clock(lastAt)}, no longer live: reconnecting` : "not live: reconnecting");
    reopen();
  }, 40000);
}

function open() {
  stream = new EventSource(state.dataset.live);
  stream.addEventListener("numbers", (event) => {
    const message = JSON.parse(event.data);
    lastAt = message.at;
    apply(message.values);
    show("live", `live, as of ${clock(lastAt)}${state.dataset.zone ? " " + state.dataset.zone : ""}`);
    document.dispatchEvent(new CustomEvent("valorem:numbers", { detail: message }));
    heard();
  });
  stream.addEventListener("beat", heard);
  stream.addEventListener("over", () => { stream.close(); show("lost", "you are signed out"); });
  stream.onerror = () => show("lost", lastAt ? `as of ${clock(lastAt)}, reconnecting` : "not live, reconnecting");
}

function close() {
  if (stream) stream.close();
  stream = null;
  window.clearTimeout(timer);
}

function reopen() { close(); open(); }

document.addEventListener("visibilitychange", () => {
  if (document.hidden) { close(); show("paused", "paused while hidden"); } else if (!stream) open();
});
window.addEventListener("pagehide", close);
open();

// New events are announced, and shown only when asked for: nothing moves under the pointer.
const waiting = document.getElementById("live-waiting");
if (waiting) {
  const seen = Number(waiting.dataset.seen);
  document.addEventListener("valorem:numbers", (event) => {
    const more = Number(event.detail.events) - seen;
    waiting.hidden = !(more > 0);
    if (more > 0) waiting.querySelector("strong").textContent = more.toLocaleString("en-US");
  });
}
// Whoever is on the way to another page, or has something open over this one, is not brought back.
let leaving = false;
window.addEventListener("beforeunload", () => { leaving = true; });
function again() {
  if (!leaving && !document.querySelector("dialog[open]")) window.location.reload();
}
// A page that was made from a part of the numbers is made again once they are whole.
if (document.querySelector("[data-partial]")) {
  document.addEventListener("valorem:numbers", (event) => {
    if (event.detail.missing === 0 && document.activeElement === document.body) again();
  });
}
// An empty state waits for its fact, then loads the page that shows it.
const wait = document.querySelector("[data-wait-for-event]");
if (wait) {
  document.addEventListener("valorem:numbers", (event) => {
    if (Number(event.detail.events) > Number(wait.dataset.waitForEvent)) again();
  });
}
