// The list of log records: drawn here, because thousands of rows as components would take seconds; opened lazily.
(function () {
  "use strict";
  const obs = (window.obs = window.obs || {});
  const el = obs.element;
  const open = new Set();

  const key = (row) => row.t + row.line.slice(0, 200);

  function marked(target, text, words) {
    if (!words.length) return target.append(text);
    const pattern = new RegExp(words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "gi");
    let at = 0;
    for (const hit of text.matchAll(pattern)) {
      target.append(text.slice(at, hit.index), el("mark", "", hit[0]));
      at = hit.index + hit[0].length;
    }
    target.append(text.slice(at));
  }

  function pretty(line) {
    if (!/^\s*[{[]/.test(line)) return line;
    try {
      return JSON.stringify(JSON.parse(line), null, 2);
    } catch (e) {
      return line;
    }
  }

  // Adds or removes one value of a parameter that may repeat.
  obs.toggle = function (name, value) {
    const all = new URLSearchParams(location.search).getAll(name);
    obs.change({ [name]: all.includes(value) ? all.filter((v) => v !== value) : [...all, value], rows: "" });
  };

  function action(icon, title, run) {
    const button = el("button", "row-action");
    button.append(el("span", "icon icon-" + icon));
    button.title = title;
    button.setAttribute("aria-label", title);
    button.addEventListener("click", run);
    return button;
  }

  function attribute(name, value) {
    const row = el("tr");
    const acts = el("td", "attribute-acts");
    acts.append(
      action("include", "Only records with this value", () => obs.toggle("f", name + "=" + value)),
      action("exclude", "Only records without it", () => obs.toggle("f", name + "!=" + value)));
    const shown = el("td", "attribute-value");
    if (name === "trace_id" && value) {
      const link = el("a", "", value);
      link.href = obs.traceLink(value);
      shown.append(link);
    } else {
      shown.textContent = typeof value === "object" ? JSON.stringify(value) : String(value);
    }
    row.append(acts, el("td", "attribute-name", name), shown);
    return row;
  }

  obs.traceLink = function (id) {
    const kept = obs.shared().toString();
    return "/ui/traces/" + encodeURIComponent(id) + (kept ? "?" + kept : "");
  };

  // The lines of its stream before and after a record, whatever the query left out.
  async function neighbours(row, button, place) {
    button.disabled = true;
    const labels = Object.entries(row.stream).map(([name, value]) => name + "=" + JSON.stringify(value));
    const asked = { query: "{" + labels.join(", ") + "}", time: row.t, before: "20", after: "20" };
    if (row.line.length < 100000) asked.line = row.line;
    try {
      const ask = () => fetch("/loki/api/v1/context", { method: "POST", body: new URLSearchParams(asked) });
      let answer = await ask();
      if (answer.status === 404) {  // the line is one that the query made
        asked.query = new URLSearchParams(location.search).get("q") || "{}";
        answer = await ask();
      }
      if (!answer.ok) throw new Error(await answer.text());
      const found = (await answer.json()).data;
      const lines = found.result[0].values.map(function ([t, text], i) {
        const shown = el("div", i === found.position ? "log-near-line here" : "log-near-line");
        shown.append(el("span", "log-time", obs.clock(t)), el("span", "log-line", text.slice(0, 2000)));
        return shown;
      });
      place.replaceChildren(...lines);
    } catch (e) {
      place.textContent = e.message;
      button.disabled = false;
    }
  }

  function detail(row, words) {
    const box = el("div", "log-detail");
    const text = el("pre", "log-text");
    marked(text, pretty(row.line), words);
    const table = el("table", "attributes");
    const body = el("tbody");
    for (const part of [row.own, row.stream]) {
      for (const name of Object.keys(part).sort()) body.append(attribute(name, part[name]));
    }
    table.append(body);
    const links = el("div", "detail-links");
    if (row.own.trace_id) {
      const link = el("a", "button-link", "Open its trace");
      link.href = obs.traceLink(row.own.trace_id);
      links.append(link);
    }
    const second = Number(BigInt(row.t) / 1000000000n);
    const around = el("a", "button-link", "A minute around it");
    const kept = new URLSearchParams({ from: String(second - 30), to: String(second + 31) });
    if (row.service) kept.set("q", "{service_name=" + JSON.stringify(row.service) + "}");
    around.href = "/ui/logs?" + kept;
    const near = el("button", "button-link", "Lines around it");
    near.addEventListener("click", () => neighbours(row, near, place));
    const place = el("div", "log-near");
    links.append(near, around, el("span", "hint", obs.time(row.t)));
    box.append(text, links, place, table);
    return box;
  }

  function line(row, words) {
    const item = el("div", "log-row level-" + row.level);
    const head = el("button", "log-head");
    head.setAttribute("aria-expanded", "false");
    const words_ = el("span", "log-line");
    marked(words_, row.line.length > 2000 ? row.line.slice(0, 2000) + "…" : row.line, words);
    head.append(el("span", "log-time", obs.clock(row.t)), el("span", "log-level", row.level === "unknown" ? "" : row.level),
      el("span", "log-service", row.service), words_);
    const flip = function () {
      const was = item.querySelector(".log-detail");
      if (was) was.remove();
      else item.append(detail(row, words));
      head.setAttribute("aria-expanded", String(!was));
      item.classList.toggle("open", !was);
      open[was ? "delete" : "add"](key(row));
    };
    head.addEventListener("click", () => String(window.getSelection()) || flip());
    item.append(head);
    if (open.has(key(row))) flip();
    return item;
  }

  document.addEventListener("click", function (event) {
    const toggle = event.target.closest("[data-toggle]");
    if (!toggle) return;
    for (const [name, value] of new URLSearchParams(toggle.getAttribute("data-toggle"))) obs.toggle(name, value);
  });

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.logs = {
    draw: function (data) {
      const list = document.getElementById("log-list");
      if (!list || !data) return window.dash_clientside.no_update;
      const drawn = document.createDocumentFragment();
      let day = null;
      for (const row of data.rows) {
        const its = obs.day(row.t);
        if (its !== day) drawn.append(el("div", "log-day", its));
        day = its;
        drawn.append(line(row, data.words));
      }
      list.replaceChildren(drawn);
      return window.dash_clientside.no_update;
    },
  };
})();
