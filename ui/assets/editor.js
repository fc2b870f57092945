// Query boxes: Enter runs, Shift+Enter breaks the line, and names are completed from the list in `data-names`.
(function () {
  "use strict";
  const obs = (window.obs = window.obs || {});
  const MAX = 12;
  const names = { promql: [], logql: [] };
  const FUNCTIONS = {
    promql: ["rate(", "increase(", "irate(", "delta(", "deriv(", "histogram_quantile(", "label_replace(", "sum(", "avg(",
      "min(", "max(", "count(", "topk(", "bottomk(", "quantile(", "sum by (", "avg by (", "max by (", "count by (",
      "avg_over_time(", "max_over_time(", "min_over_time(", "sum_over_time(", "count_over_time(", "quantile_over_time(",
      "last_over_time(", "absent(", "clamp_min(", "clamp_max(", "abs(", "ceil(", "floor(", "round(", "sort_desc("],
    logql: ["count_over_time(", "rate(", "bytes_rate(", "sum by (", "topk(", "json", "logfmt", "line_format"],
  };

  obs.names = function (language, list) {
    names[language] = list || [];
    return window.dash_clientside.no_update;
  };

  function wordAt(box) {
    const before = box.value.slice(0, box.selectionStart);
    const open = (before.match(/"/g) || []).length % 2;
    const word = open ? "" : (before.match(/[A-Za-z_:][\w:]*$/) || [""])[0];
    return { word: word, start: box.selectionStart - word.length };
  }

  function candidates(language, word) {
    const low = word.toLowerCase();
    const all = names[language].concat(FUNCTIONS[language]);
    const starts = all.filter((n) => n.toLowerCase().startsWith(low) && n !== word);
    const inside = all.filter((n) => !n.toLowerCase().startsWith(low) && n.toLowerCase().includes(low));
    return starts.concat(inside).slice(0, MAX);
  }

  function setValue(box, value, at) {
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(box, value);
    box.dispatchEvent(new Event("input", { bubbles: true }));
    box.setSelectionRange(at, at);
  }

  const menu = obs.element("div", "completions");
  menu.setAttribute("role", "listbox");
  let owner = null;
  let chosen = 0;

  function close() {
    menu.remove();
    owner = null;
  }

  function take(index) {
    const picked = menu.children[index];
    if (!owner || !picked) return;
    const { word, start } = wordAt(owner);
    const text = picked.dataset.name;
    const box = owner;
    setValue(box, box.value.slice(0, start) + text + box.value.slice(start + word.length), start + text.length);
    close();
    box.focus();
  }

  function mark(index) {
    chosen = (index + menu.children.length) % menu.children.length;
    Array.from(menu.children).forEach((row, i) => row.classList.toggle("chosen", i === chosen));
    menu.children[chosen].scrollIntoView({ block: "nearest" });
  }

  function offer(box) {
    const { word } = wordAt(box);
    const found = word.length < 2 ? [] : candidates(box.dataset.language, word);
    if (!found.length) return close();
    menu.replaceChildren(...found.map(function (name, i) {
      const row = obs.element("div", "completion");
      const at = name.toLowerCase().indexOf(word.toLowerCase());
      row.append(name.slice(0, at), obs.element("b", "", name.slice(at, at + word.length)), name.slice(at + word.length));
      row.dataset.name = name;
      row.setAttribute("role", "option");
      row.addEventListener("mousedown", (event) => (event.preventDefault(), take(i)));
      return row;
    }));
    owner = box;
    const place = box.getBoundingClientRect();
    menu.style.left = place.left + window.scrollX + "px";
    menu.style.top = place.bottom + window.scrollY + 2 + "px";
    menu.style.minWidth = Math.min(place.width, 420) + "px";
    document.body.append(menu);
    mark(0);
  }

  function editor(target) {
    const frame = target.closest && target.closest(".editor");
    if (!frame || target.tagName !== "TEXTAREA") return null;
    target.dataset.language = frame.dataset.language;
    return target;
  }

  document.addEventListener("input", function (event) {
    const box = editor(event.target);
    if (box && document.activeElement === box && event.isTrusted) offer(box);
  });
  document.addEventListener("focusout", (event) => event.target === owner && close());

  document.addEventListener("keydown", function (event) {
    const box = editor(event.target);
    if (!box) return;
    if (owner === box && menu.isConnected) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        return mark(chosen + (event.key === "ArrowDown" ? 1 : -1));
      }
      if (event.key === "Escape") return close();
      if (event.key === "Tab" || (event.key === "Enter" && !event.ctrlKey)) {
        event.preventDefault();
        event.stopPropagation();
        return take(chosen);
      }
    }
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      const run = document.getElementById(box.closest(".editor").dataset.run);
      if (run) setTimeout(() => run.click(), 0);
    }
  }, true);

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.editor = {
    promql: (list) => obs.names("promql", list),
    logql: (list) => obs.names("logql", list),
    run: function (clicks, values) {
      const queries = values.map((v) => (v || "").trim()).filter((v) => v);
      obs.change({ q: queries });
      return window.dash_clientside.no_update;
    },
    drop: function (clicks, values) {
      const at = window.dash_clientside.callback_context.triggered_id;
      if (!at || !clicks.some((c) => c)) return window.dash_clientside.no_update;
      const left = values.filter((v, i) => i !== at.index);
      obs.change({ q: left.filter((v) => v) });
      return window.dash_clientside.no_update;
    },
  };
})();
