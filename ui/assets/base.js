// Numbers and moments as people read them; the twin of units.py for what is written in the browser.
(function () {
  "use strict";
  const obs = (window.obs = window.obs || {});
  const SUFFIX = { bytes: "B", "bytes/s": "B/s", rate: "/s", none: "" };
  const PREFIXES = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];

  const digits = (x) => String(Number(x.toPrecision(3)));

  obs.duration = function (s) {
    const size = Math.abs(s);
    if (s === 0) return "0 s";
    if (size < 0.9995e-6) return digits(s * 1e9) + " ns";
    if (size < 0.9995e-3) return digits(s * 1e6) + " µs";
    if (size < 0.9995) return digits(s * 1e3) + " ms";
    if (size < 60) return digits(s) + " s";
    const whole = Math.round(s);
    for (const [big, small, b, l] of [[86400, 3600, "d", "h"], [3600, 60, "h", "m"], [60, 1, "m", "s"]]) {
      if (size < big) continue;
      const rest = Math.floor((whole % big) / small);
      return Math.floor(whole / big) + " " + b + (rest ? " " + rest + " " + l : "");
    }
  };

  obs.number = function (value, unit) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (typeof value !== "number") return String(value);
    if (unit === "percent") return digits(value * 100) + " %";
    if (unit === "seconds") return obs.duration(value);
    if (unit === "milliseconds") return obs.duration(value / 1000);
    if (unit === "exact") return String(value);
    if (unit === "count") return Math.round(value).toLocaleString("en-US");
    if (value === 0) return "0" + (SUFFIX[unit] ? " " + SUFFIX[unit] : "");
    if ((unit === "none" || unit === "rate") && Math.abs(value) < 1000) {
      return digits(value) + (SUFFIX[unit] ? " " + SUFFIX[unit] : "");
    }
    for (const [size, prefix] of PREFIXES) {
      if (Math.abs(value) >= size * 0.9995) {
        const end = prefix + (SUFFIX[unit] || "");
        return digits(value / size) + (end ? " " + end : "");
      }
    }
    return digits(value) + (SUFFIX[unit] || "");
  };

  const two = (n) => String(n).padStart(2, "0");

  // Nanoseconds since 1970, as a number or a string of digits, as the reader's clock to the millisecond.
  obs.clock = function (ns) {
    const t = new Date(Number(BigInt(ns) / 1000000n));
    return two(t.getHours()) + ":" + two(t.getMinutes()) + ":" + two(t.getSeconds()) + "." + String(t.getMilliseconds()).padStart(3, "0");
  };

  obs.day = function (ns) {
    const t = new Date(Number(BigInt(ns) / 1000000n));
    return t.getFullYear() + "-" + two(t.getMonth() + 1) + "-" + two(t.getDate());
  };

  obs.time = function (ns) {
    return ns === null || ns === undefined || ns === "" ? "–" : obs.day(ns) + " " + obs.clock(ns);
  };

  obs.element = function (tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  functions.obsNumber = (value, unit) => obs.number(value, unit);
  functions.obsTime = (value) => obs.time(value);

  const components = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  components.ObsLink = function (props) {
    const href = props.data && props.data[props.hrefField];
    const words = props.valueFormatted || props.value;
    return href ? React.createElement("a", { href: href }, words) : words;
  };
  components.ObsSwatch = function (props) {
    return React.createElement("span", { title: props.data.title },
      React.createElement("span", { className: "swatch", style: { background: props.data.color } }), props.value);
  };
  components.ObsState = function (props) {
    return React.createElement("span", { className: "state state-" + props.value }, props.value);
  };
  components.ObsBar = function (props) {
    const share = Math.max(0, Math.min(1, (props.value || 0) / ((props.data && props.data.of) || 1)));
    return React.createElement("span", { className: "bar-cell" },
      React.createElement("span", { className: "bar", style: { width: 100 * share + "%" } }),
      React.createElement("span", { className: "bar-text" }, props.valueFormatted));
  };
})();
