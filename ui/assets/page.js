// The URL is the state: links, buttons, forms and charts change it, and Dash's callbacks read it.
(function () {
  "use strict";
  const obs = (window.obs = window.obs || {});

  // Shows another address; dcc.Location hears of it by the event that Dash's own links send.
  obs.go = function (href, replace) {
    if (href === location.pathname + location.search) return;
    const otherPage = href.split("?")[0] !== location.pathname;
    history[replace ? "replaceState" : "pushState"]({}, "", href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    if (otherPage) window.scrollTo(0, 0);
  };

  // Sets parameters of the address: a value, a list, or nothing to remove one.
  // What is so already is left alone: a callback that repeats the address must not add to the history.
  obs.change = function (changes) {
    const params = new URLSearchParams(location.search);
    let changed = false;
    for (const [name, value] of Object.entries(changes)) {
      const wanted = [].concat(value === null || value === undefined ? [] : value).filter((one) => one !== "");
      if (JSON.stringify(params.getAll(name)) === JSON.stringify(wanted)) continue;
      changed = true;
      params.delete(name);
      for (const one of wanted) params.append(name, one);
    }
    const search = params.toString();
    if (changed) obs.go(location.pathname + (search ? "?" + search : ""));
  };

  obs.shared = function () {
    const params = new URLSearchParams(location.search);
    const kept = new URLSearchParams();
    for (const name of ["from", "to", "refresh"]) if (params.get(name)) kept.set(name, params.get(name));
    return kept;
  };

  // A form's values to the URL; `args` are a callback's inputs and states, the states last.
  obs.submit = function (args, names, defaults) {
    const values = Array.from(args).slice(-names.length);
    const changes = {};
    names.forEach((name, i) => {
      const value = values[i] === undefined || values[i] === null ? "" : values[i];
      changes[name] = String(value) === defaults[i] ? "" : Array.isArray(value) ? value : String(value);
    });
    obs.change(changes);
    return window.dash_clientside.no_update;
  };

  obs.restore = function (names, defaults) {
    const params = new URLSearchParams(location.search);
    const values = names.map((name, i) => (params.has(name) ? params.get(name) : defaults[i]));
    return values.length === 1 ? values[0] : values;
  };

  function insidePage(anchor, event) {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return false;
    if (anchor.target || anchor.origin !== location.origin || anchor.hasAttribute("download")) return false;
    return anchor.pathname === "/" || anchor.pathname.startsWith("/ui/");
  }

  document.addEventListener("click", function (event) {
    const setter = event.target.closest("[data-set]");
    if (setter) {
      const changes = {};
      for (const [name, value] of new URLSearchParams(setter.getAttribute("data-set"))) changes[name] = value;
      obs.change(changes);
      return;
    }
    const anchor = event.target.closest("a[href]");
    if (!anchor || anchor.getAttribute("href").startsWith("#") || !insidePage(anchor, event)) return;
    event.preventDefault();
    event.stopPropagation();
    obs.go(anchor.pathname + anchor.search);
  }, true);

  // A thin line on top while a callback is under way.
  const plain = window.fetch;
  let underWay = 0;
  window.fetch = function (resource) {
    const url = typeof resource === "string" ? resource : resource && resource.url;
    if (!url || !url.includes("_dash-update-component")) return plain.apply(this, arguments);
    underWay += 1;
    document.body.classList.add("busy");
    return plain.apply(this, arguments).finally(function () {
      underWay -= 1;
      if (!underWay) document.body.classList.remove("busy");
    });
  };

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.obs = {
    menu: function (pathname, search, ids) {
      const kept = obs.shared().toString();
      const at = pathname === "/ui" || pathname === "/ui/" ? "/" : pathname;
      const here = (path) => (path === "/" ? at === "/" : at === path || at.startsWith(path + "/"));
      return [
        ids.map((id) => id.index + (kept ? "?" + kept : "")),
        ids.map((id) => "menu-link" + (here(id.index) ? " active" : "")),
      ];
    },
    burger: function (opened, navbar) {
      return { ...navbar, collapsed: { mobile: !opened } };
    },
    offset: function () {
      return -60 * new Date().getTimezoneOffset();
    },
    // Dragging across a chart narrows the range; the chart's clock is the reader's, so the offset goes off again.
    zoom: function (all) {
      const ctx = window.dash_clientside.callback_context;
      for (const event of ctx.triggered || []) {
        const moved = event.value || {};
        const ends = moved["xaxis.range"] || [moved["xaxis.range[0]"], moved["xaxis.range[1]"]];
        if (ends[0] === undefined) continue;
        const [from, to] = ends.map(function (end) {
          const ms = typeof end === "number" ? end : Date.parse(String(end).replace(" ", "T") + "Z");
          return ms + new Date(ms).getTimezoneOffset() * 60000;
        });
        if (to - from >= 1000) obs.change({ from: String(Math.floor(from / 1000)), to: String(Math.ceil(to / 1000)) });
      }
      return window.dash_clientside.no_update;
    },
    refresh: function (value) {
      const shown = new URLSearchParams(location.search).get("refresh");
      const usual = location.pathname === "/" || location.pathname === "/ui/alerts" ? "10s" : "off";
      if (value && value !== (shown || usual)) obs.change({ refresh: value });
      return window.dash_clientside.no_update;
    },
    tick: function (clicks, ticks) {
      return (ticks || 0) + 1;
    },
    range: function (clicks, search, from, to, fromError, toError) {
      const ctx = window.dash_clientside.callback_context;
      if ((ctx.triggered || []).some((t) => t.prop_id === "apply-range.n_clicks")) {
        if (fromError || toError) return true;
        obs.change({ from: from === "now-1h" ? "" : from, to: to === "now" ? "" : to });
      }
      return false;
    },
  };
})();
