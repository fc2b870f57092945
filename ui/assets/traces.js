// The waterfall of a trace: drawn here so that thousands of spans open at once; the server places every row.
(function () {
  "use strict";
  const obs = (window.obs = window.obs || {});
  const el = obs.element;
  const closed = new Set();
  let shown = null;

  const percent = (x) => (100 * x).toFixed(3) + "%";

  function ruler(whole) {
    const row = el("div", "wf-row wf-ruler");
    const line = el("div", "wf-line");
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const tick = el("span", "wf-tick", obs.duration(whole * share));
      tick.style.left = percent(share);
      if (share === 1) tick.classList.add("last");
      line.append(tick);
    }
    row.append(el("div", "wf-name", ""), line);
    return row;
  }

  function fold(id) {
    closed[closed.has(id) ? "delete" : "add"](id);
    draw();
  }

  // A row's duration, where there is room for it: after the bar, in it, or before it; `room` is a line's width in pixels.
  function label(row, room) {
    const words = obs.duration(row.took) + (row.failed ? " ⚠" : "");
    const took = el("span", "wf-took", words);
    const needed = (12 + 7 * words.length) / room;
    const end = row.left + row.width;
    if (end + needed <= 1) took.style.left = percent(end);
    else if (row.width < needed && row.left >= needed) took.style.right = percent(1 - row.left);
    else took.style.right = percent(1 - end), took.classList.add("inside");
    return took;
  }

  function span(row, chosen, room) {
    const item = el("div", "wf-row" + (row.failed ? " failed" : "") + (row.id === chosen ? " chosen" : ""));
    item.dataset.id = row.id;
    const name = el("div", "wf-name");
    name.style.paddingLeft = 4 + 12 * Math.min(row.depth, 16) + "px";
    const caret = el("button", "wf-caret", row.children ? (closed.has(row.id) ? "▸" : "▾") : "");
    if (row.children) {
      caret.setAttribute("aria-label", closed.has(row.id) ? "Show the spans under it" : "Hide the spans under it");
      caret.addEventListener("click", (event) => (event.stopPropagation(), fold(row.id)));
    } else {
      caret.tabIndex = -1;
    }
    const words = el("button", "wf-words");
    words.append(el("span", "wf-title", row.name), el("span", "wf-service", row.service));
    words.title = row.service + ": " + row.name + (row.orphan ? " (its parent is not here)" : "");
    name.append(caret, words);
    const line = el("div", "wf-line");
    const bar = el("span", "wf-bar");
    bar.style.left = percent(row.left);
    bar.style.width = "max(2px, " + percent(row.width) + ")";
    bar.style.background = row.color;
    line.append(bar, label(row, room));
    line.title = obs.duration(row.took) + ", of its own " + obs.duration(row.self);
    item.append(name, line);
    item.addEventListener("click", () => obs.change({ span: row.id }));
    return item;
  }

  function draw() {
    const frame = document.getElementById("waterfall");
    if (!frame || !shown) return;
    const chosen = new URLSearchParams(location.search).get("span") || (shown.rows[0] || {}).id;
    const made = document.createDocumentFragment();
    made.append(ruler(shown.whole_s));
    const wide = frame.clientWidth;
    const room = wide - Math.max(180, 0.34 * wide) - 24; // the columns of .wf-row, the margins of .wf-line
    let hiddenBelow = Infinity;
    for (const row of shown.rows) {
      if (row.depth > hiddenBelow) continue;
      hiddenBelow = closed.has(row.id) ? row.depth : Infinity;
      made.append(span(row, chosen, room));
    }
    frame.replaceChildren(made);
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.traces = {
    draw: function (data) {
      shown = data;
      draw();
      document.querySelectorAll("[data-ns]").forEach((m) => (m.textContent = obs.time(m.dataset.ns)));
      return window.dash_clientside.no_update;
    },
    chosen: function () {
      const id = new URLSearchParams(location.search).get("span") || "";
      document.querySelectorAll(".wf-row").forEach((r) => r.classList.toggle("chosen", r.dataset.id === id));
      return id;
    },
  };
})();
