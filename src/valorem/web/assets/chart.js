// Charts are drawn by the server; here they become something to point at, and to walk through with the arrow keys.
const scripts = document.querySelector("script[data-vega]");
const source = scripts.dataset.vega;

async function hydrate(figure) {
  const block = figure.querySelector("script[type='application/json']");
  const drawing = figure.querySelector(".drawing");
  const spec = JSON.parse(block.textContent);
  await import(source);
  const place = document.createElement("div");
  place.setAttribute("aria-hidden", "true");
  const old = [...drawing.childNodes];
  drawing.append(place);
  try {
    const result = await window.vegaEmbed(place, spec, { ast: true, actions: false, defaultStyle: false, renderer: "svg", tooltip: { disableDefaultStyle: true } });
    for (const each of old) each.remove();
    place.querySelector("svg")?.setAttribute("focusable", "false");
    const instead = figure.querySelector("details[data-instead]");
    if (instead) instead.open = false; // it stood in for the drawing
    figure.dataset.ready = "yes";
    figure.view = result.view;
  } catch (error) {
    place.remove();
    throw error;
  }
}

// The keyboard's twin of the tooltip: arrow keys walk over the table's rows and say them.
function walk(figure) {
  const rows = [...figure.querySelectorAll("tbody tr")];
  const titles = [...figure.querySelectorAll("thead th")].map((each) => each.textContent.trim());
  const drawing = figure.querySelector(".drawing");
  const reading = figure.querySelector(".reading");
  let at = -1;
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !rows.length) return;
    event.preventDefault();
    at = Math.min(rows.length - 1, Math.max(0, at + step));
    reading.textContent = [...rows[at].children].map((cell, place) => `${titles[place]}: ${cell.textContent.trim()}`).join(" · ");
  });
  drawing.addEventListener("blur", () => { reading.textContent = ""; at = -1; });
}

const watch = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    watch.unobserve(entry.target);
    hydrate(entry.target);
  }
}, { rootMargin: "200px" });
for (const figure of document.querySelectorAll("figure.chart")) { walk(figure); watch.observe(figure); }
