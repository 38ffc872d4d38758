"use strict";
(function () {
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const tabs = Array.from(document.querySelectorAll("nav button"));
  const sections = Array.from(document.querySelectorAll("main > section"));
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function layoutOf(plot) {
    const narrow = window.innerWidth < 640;
    const axis = { gridcolor: css("--line"), zerolinecolor: css("--dim"), linecolor: css("--line"), automargin: true };
    const layout = {
      paper_bgcolor: css("--panel"), plot_bgcolor: css("--panel"), font: { color: css("--ink"), size: narrow ? 11 : 12 },
      margin: { l: 55, r: 15, t: 20, b: 40 }, hovermode: "closest",
      legend: { orientation: "h", y: -0.15, x: 0 }, xaxis: { ...axis }, yaxis: { ...axis },
    };
    for (const [key, value] of Object.entries(plot.layout)) {
      layout[key] = key.includes("axis") ? { ...axis, ...value } : value;
    }
    if (plot.rows) layout.height = Math.max(narrow ? 300 : 260, 120 + 46 * plot.rows);
    return layout;
  }

  function draw(key) {
    for (const [place, plot] of (plots[key] || []).entries()) {
      const element = document.getElementById(`plot-${key}-${place}`);
      const layout = layoutOf(plot);
      if (layout.height) element.style.height = `${layout.height}px`;
      Plotly.react(element, plot.data, layout, { responsive: true, displaylogo: false });
    }
  }

  function show(key, focus) {
    for (const tab of tabs) {
      const chosen = tab.dataset.key === key;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen && focus) tab.focus();
    }
    for (const section of sections) section.hidden = section.id !== key;
    draw(key);
  }

  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => { show(tab.dataset.key); history.replaceState(null, "", `#${tab.dataset.key}`); });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length].dataset.key;
      show(next, true);
      history.replaceState(null, "", `#${next}`);
    });
  });

  document.querySelectorAll("[data-theme-toggle]").forEach((button) => button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    draw(sections.find((section) => !section.hidden).id);
  }));

  function value(text) {
    const number = Number(text);
    return text !== "" && Number.isFinite(number) ? number : text === "–" ? -Infinity : text;
  }

  document.querySelectorAll("table").forEach((table) => {
    table.querySelectorAll("th").forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = Array.from(table.tBodies[0].rows);
      rows.sort((a, b) => {
        const [x, y] = [value(a.cells[column].textContent), value(b.cells[column].textContent)];
        return (typeof x === typeof y ? (x > y) - (x < y) : typeof x === "number" ? -1 : 1) * (up ? 1 : -1);
      });
      rows.forEach((row) => table.tBodies[0].append(row));
    }));
  });

  document.querySelectorAll("[data-csv]").forEach((button) => button.addEventListener("click", () => {
    const table = document.getElementById(button.dataset.csv);
    // A cell that a spreadsheet would take for a formula is data here.
    const isNumber = (text) => text.trim() !== "" && Number.isFinite(Number(text));
    const safe = (text) => (text === "–" ? "" : /^[=+@\t\r-]/.test(text) && !isNumber(text) ? `'${text}` : text);
    const quote = (text) => `"${safe(text).replace(/"/g, '""')}"`;
    const lines = Array.from(table.rows, (row) => Array.from(row.cells, (cell) => quote(cell.textContent)).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
    link.download = `${button.dataset.csv}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }));

  const asked = location.hash.slice(1);
  show(sections.some((section) => section.id === asked) ? asked : sections[0].id);
})();
