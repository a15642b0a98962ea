// For pages that show the portal in a frame: <script src="https://valorem.example.com/portal/embed.js"></script>, then
// valoremPortal(element, async () => linkFromYourServer). It follows the frame's height and asks for a new link when one is over.
(function () {
  "use strict";
  window.valoremPortal = function (element, getLink) {
    const frame = document.createElement("iframe");
    frame.title = element.dataset.title || "Billing";
    frame.style.cssText = "width:100%;border:0;display:block;min-height:24rem";
    frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms allow-downloads allow-popups allow-popups-to-escape-sandbox");
    frame.referrerPolicy = "origin";
    let home = "";
    let asked = 0;
    let later = 0;
    async function open() {
      const wait = asked + 3000 - Date.now(); // a link that is refused at once is not asked for over and over
      window.clearTimeout(later);
      if (asked && wait > 0) { later = window.setTimeout(open, wait); return; }
      asked = Date.now();
      const link = await getLink();
      home = new URL(link).origin;
      frame.src = link;
    }
    function hear(event) {
      if (event.source !== frame.contentWindow || event.origin !== home || !event.data) return;
      if (event.data.type === "valorem:height") frame.style.height = Math.max(160, Math.min(20000, Number(event.data.height) || 0)) + "px";
      if (event.data.type === "valorem:page") element.scrollIntoView({ block: "nearest" });
      if (event.data.type === "valorem:expired") open();
    }
    window.addEventListener("message", hear);
    element.append(frame);
    const opened = open();
    return { frame: frame, opened: opened, close: function () { window.clearTimeout(later); window.removeEventListener("message", hear); frame.remove(); } };
  };
})();
