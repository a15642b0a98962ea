// The command palette: everything it offers is also a link on a page.
const dialog = document.querySelector("dialog.palette");
if (dialog) {
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("ul");
  const status = dialog.querySelector("[role=status]");
  const pages = [...document.querySelectorAll(".pages a[href]")].map((link) => ({ name: link.textContent.trim(), kind: "page", to: link.getAttribute("href") }));
  let items = [];
  let chosen = 0;
  let asking = new AbortController();

  const draw = () => {
    list.replaceChildren(...items.map((item, place) => {
      const row = document.createElement("li");
      row.id = `palette-${place}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", String(place === chosen));
      const kind = document.createElement("small");
      kind.textContent = item.kind;
      row.append(document.createTextNode(item.name), kind);
      row.addEventListener("click", () => { window.location.assign(item.to); });
      return row;
    }));
    if (items.length) input.setAttribute("aria-activedescendant", `palette-${chosen}`);
    else input.removeAttribute("aria-activedescendant");
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
    status.textContent = items.length ? `${items.length} results` : "nothing found";
  };

  // Nothing when the search does not answer (or the page is being left): the pages alone are offered.
  const ask = async (text, signal) => {
    try {
      const answer = await fetch(`${dialog.dataset.search}?q=${encodeURIComponent(text)}`, { headers: { accept: "application/json" }, signal });
      return answer.ok ? (await answer.json()).items : null;
    } catch { return null; }
  };

  const look = async () => {
    const text = input.value.trim().toLowerCase();
    const mine = pages.filter((page) => page.name.toLowerCase().includes(text));
    chosen = 0;
    items = mine;
    draw();
    asking.abort(); // an answer to what was typed before is of no use
    if (!text) return;
    const turn = asking = new AbortController();
    const found = await ask(text, turn.signal);
    if (turn.signal.aborted || !found) return;
    const there = new Set(mine.map((page) => page.to));
    items = [...found.filter((item) => !there.has(item.to)), ...mine];
    draw();
  };

  const open = () => { if (!dialog.open) { dialog.showModal(); input.value = ""; look(); } };
  input.addEventListener("input", look);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (items.length) chosen = (chosen + (event.key === "ArrowDown" ? 1 : items.length - 1)) % items.length;
      draw();
    } else if (event.key === "Enter" && items[chosen]) {
      event.preventDefault();
      window.location.assign(items[chosen].to);
    }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  let leader = 0;
  const jumps = Object.fromEntries([...document.querySelectorAll(".pages a[data-jump]")].map((link) => [link.dataset.jump, link.getAttribute("href")]));
  document.addEventListener("keydown", (event) => {
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") { event.preventDefault(); open(); return; }
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (typing || event.metaKey || event.ctrlKey || event.altKey || dialog.open) return;
    if (event.key === "/") { event.preventDefault(); open(); return; }
    if (event.key === "g") { leader = Date.now(); return; }
    if (Date.now() - leader < 1200 && jumps[event.key]) window.location.assign(jumps[event.key]);
    leader = 0;
  });
}
