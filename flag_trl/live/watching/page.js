"use strict";
(function () {
  const byId = (id) => document.getElementById(id);
  const none = "–";
  let shown = JSON.parse(byId("snapshot").textContent);
  let chosen = null;
  let pointer = null;

  // What is written to the page, and only where it differs: texts are never read as markup.

  function say(element, text, kind) {
    if (element.textContent !== text) element.textContent = text;
    if (kind !== undefined && element.className !== kind) element.className = kind;
  }

  function number(value, digits, sign) {
    if (value === null || value === undefined) return none;
    if (typeof value === "string") return value.replace("inf", "∞");
    return value.toLocaleString("en-US", {
      minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: sign ? "exceptZero" : "negative",
    });
  }
  const money = (value) => number(value, 2);
  const units = (value) => number(value, Number.isInteger(value) ? 0 : 4);
  const price = (value) => number(value, typeof value === "number" && Math.abs(value) < 10 ? 4 : 2);
  const percent = (value, sign) => (typeof value === "number" ? `${number(100 * value, 2, sign)} %` : number(value));
  const moment = (value) => (value === null ? none : new Date(value).toISOString().slice(0, 16).replace("T", " "));
  const side = (value) => (value > 0 ? "up" : value < 0 ? "down" : "");

  // As many children as there are items; those that are there already stay, with what is scrolled or selected in them.
  function fit(parent, items, make) {
    while (parent.children.length > items.length) parent.lastElementChild.remove();
    while (parent.children.length < items.length) parent.append(make());
    return Array.from(parent.children);
  }

  function element(tag, ...classes) {
    const made = document.createElement(tag);
    made.className = classes.join(" ");
    return made;
  }

  // Rows of cells, each a text or a pair of text and class.
  function table(id, rows, empty) {
    const width = byId(id).tHead.rows[0].cells.length;
    const body = byId(id).tBodies[0];
    const kept = rows.length ? rows : [[[empty, "none"]]];
    fit(body, kept, () => element("tr")).forEach((row, place) => {
      fit(row, kept[place], () => element("td")).forEach((cell, column) => {
        const [text, kind] = [kept[place][column]].flat();
        cell.colSpan = rows.length ? 1 : width;
        say(cell, text, kind || "");
      });
    });
  }

  // A label, a bar and an amount for each item.
  function bars(id, items) {
    const make = () => {
      const item = element("li");
      const track = element("div", "track");
      track.append(element("div", "bar"));
      item.append(element("span", "label"), track, element("span", "amount"));
      return item;
    };
    fit(byId(id), items, make).forEach((item, place) => {
      const { label, share, amount, kind } = items[place];
      const [name, track, words] = item.children;
      item.className = kind;
      say(name, label);
      say(words, amount);
      track.firstElementChild.style.width = `${100 * Math.max(0, Math.min(1, share || 0))}%`;
    });
  }

  function head() {
    say(byId("name"), shown.name);
    say(byId("state"), shown.state.name, `pill ${shown.state.name}`);
    say(byId("why"), shown.state.why);
    say(byId("about"), shown.about.join(" · "));
    say(byId("time"), moment(shown.time));
    say(byId("equity"), money(shown.equity));
    say(byId("return"), percent(shown.total_return, true), side(shown.total_return));
    say(byId("drawdown"), percent(shown.drawdown));
    say(byId("deepest"), percent(shown.deepest));
    say(byId("fills"), number(shown.trades.fills, 0));
    say(byId("commission"), money(shown.trades.commission));
  }

  function symbols() {
    const make = () => {
      const row = element("tr");
      const name = element("th");
      const button = element("button");
      button.type = "button";
      button.addEventListener("click", () => { chosen = button.textContent; draw(); });
      name.scope = "row";
      name.append(button);
      row.append(name);
      for (let column = 0; column < 6; column += 1) row.append(element("td"));
      return row;
    };
    fit(byId("symbols").tBodies[0], shown.symbols, make).forEach((row, place) => {
      const part = shown.symbols[place];
      const [name, ...cells] = row.children;
      const now = part.symbol === chosen;
      row.className = now ? "chosen" : "";
      say(name.firstElementChild, part.symbol);
      name.firstElementChild.setAttribute("aria-pressed", String(now));
      say(cells[0], part.position, part.position);
      const rest = [units(part.units), price(part.price), percent(part.weight), money(part.equity), moment(part.time)];
      rest.forEach((text, column) => say(cells[column + 1], text));
    });
  }

  function decision() {
    const found = shown.decisions[chosen];
    say(byId("decision-of"), found ? `${chosen}, ${moment(found.time)}` : chosen || "");
    say(byId("action"), found ? found.action || found.status : "none yet", `pill ${found ? found.status : ""}`);
    const drawn = found && found.action ? (found.drawn ? "drawn" : "greedy, the likeliest") : "";
    const took = found && found.took_s !== null ? `answered in ${number(found.took_s, 2)} s` : "";
    say(byId("how"), [drawn, found && found.action ? found.status : "", took].filter(Boolean).join(" · "));
    say(byId("decision-why"), found ? found.why : "");
    bars("probabilities", (found ? found.probabilities : []).map((one) => ({
      label: one.action,
      share: one.probability,
      amount: one.legal ? percent(one.probability) : "not open",
      kind: one.action === found.action ? "chosen" : one.legal ? "" : "shut",
    })));
    say(byId("account"), found ? found.account : none);
    say(byId("numbers"), found ? found.numbers : none);
    say(byId("lines"), found && found.lines.length ? found.lines.join("\n") : "none");
  }

  function limits() {
    bars("limits", shown.limits.map((limit) => ({
      label: limit.name,
      share: limit.share,
      amount: limit.words,
      kind: limit.share === null ? "unbounded" : limit.share >= 1 ? "full" : limit.share >= 0.8 ? "near" : "",
    })));
  }

  function lists() {
    table("orders", shown.orders.map((order) => [
      moment(order.time), order.id, [order.side, order.side], units(order.quantity), units(order.filled), price(order.average),
      money(order.commission), `${order.kind}${order.price === null ? "" : ` ${price(order.price)}`}, ${order.time_in_force}`,
      percent(order.target), [order.why ? `${order.status}: ${order.why}` : order.status, order.status],
    ]), "no orders yet");
    table("notices", shown.notices.map((notice) => [
      moment(notice.time), notice.kind, notice.symbol || "all", notice.text,
    ]), "nothing to report");
  }

  // The picture.

  function shape(tag, settings, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(settings)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function roundSteps(low, high, most) {
    const raw = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= raw);
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) found.push(value);
    return found;
  }

  // Moments on the calendar: years, months, days, or minutes, whatever there is room for.
  function calendarSteps(low, high, most) {
    const [minute, day] = [60e3, 86400e3];
    const even = [1, 5, 15, 30, 60, 180, 360].map((n) => n * minute).concat([1, 2, 5, 10].map((n) => n * day));
    const step = even.find((one) => (high - low) / one <= most);
    const label = (time) => new Date(time).toISOString();
    const found = [];
    if (step) {
      for (let time = Math.ceil(low / step) * step; time <= high; time += step) {
        found.push([time, step < day ? label(time).slice(5, 16).replace("T", " ") : label(time).slice(0, 10)]);
      }
      return found;
    }
    const months = [1, 3, 6, 12, 24, 60, 120, 240].find((n) => (high - low) / (n * 28 * day) <= most) || 600;
    const first = Math.floor(new Date(low).getUTCFullYear() / 10) * 120;
    for (let month = first; ; month += months) {
      const time = Date.UTC(Math.floor(month / 12), month % 12);
      if (time > high) return found;
      if (time >= low) found.push([time, label(time).slice(0, months < 12 ? 7 : 4)]);
    }
  }

  function placeAt(times, time) {
    let [low, high] = [0, times.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (times[middle] <= time) low = middle; else high = middle - 1;
    }
    return low;
  }

  function scales(curve, width, height) {
    const { time, equity, drawdown } = curve;
    const [left, right, top, middle, bottom] = [width < 500 ? 58 : 76, width - 14, 12, Math.round(height * 0.68), height - 24];
    const spread = (low, high) => (high > low ? [low, high] : [low - Math.max(1, Math.abs(low) * 0.01), low + Math.max(1, Math.abs(low) * 0.01)]);
    const [start, end] = time.length > 1 ? [time[0], time[time.length - 1]] : [time[0] - 43200e3, time[0] + 43200e3];
    const [low, high] = spread(Math.min(...equity), Math.max(...equity));
    const deepest = Math.max(...drawdown, 1e-4);
    return {
      left, right, top, middle, bottom, start, end, low, high, deepest,
      x: (value) => left + ((value - start) / (end - start)) * (right - left),
      y: (value) => middle - 8 - ((value - low) / (high - low)) * (middle - 8 - top),
      fall: (value) => middle + 12 + (value / deepest) * (bottom - middle - 12),
    };
  }

  function axes(s, narrow) {
    const line = (x1, y1, x2, y2) => shape("line", { class: "grid", x1, y1, x2, y2 });
    const parts = [];
    const digits = s.high - s.low < 5 ? 2 : 0;
    for (const value of roundSteps(s.low, s.high, 5)) {
      parts.push(line(s.left, s.y(value), s.right, s.y(value)));
      parts.push(shape("text", { x: s.left - 6, y: s.y(value) + 4, "text-anchor": "end" }, number(value, digits)));
    }
    for (const value of [0, s.deepest]) {
      parts.push(line(s.left, s.fall(value), s.right, s.fall(value)));
      const words = value ? `−${number(100 * value, 1)} %` : "0 %";
      parts.push(shape("text", { x: s.left - 6, y: s.fall(value) + 4, "text-anchor": "end" }, words));
    }
    for (const [time, label] of calendarSteps(s.start, s.end, (s.right - s.left) / (narrow ? 90 : 110))) {
      parts.push(line(s.x(time), s.top, s.x(time), s.bottom));
      const near = s.x(time) > s.right - 40 ? "end" : s.x(time) < s.left + 40 ? "start" : "middle";
      parts.push(shape("text", { x: s.x(time), y: s.bottom + 17, "text-anchor": near }, label));
    }
    return parts;
  }

  function marks(s, curve) {
    // Smaller where they stand close.
    const size = Math.max(1.8, Math.min(5, (0.7 * (s.right - s.left)) / shown.marks.length));
    return shown.marks.filter((mark) => mark.time >= s.start).map((mark) => {
      const place = placeAt(curve.time, mark.time);
      const next = Math.min(place + 1, curve.time.length - 1);
      const gap = curve.time[next] - curve.time[place];
      const part = gap > 0 ? Math.min(1, (mark.time - curve.time[place]) / gap) : 0;
      const [x, y] = [s.x(Math.min(mark.time, s.end)), s.y(curve.equity[place] + part * (curve.equity[next] - curve.equity[place]))];
      const tip = mark.side === "buy" ? -size : size;
      const made = shape("path", { class: `mark ${mark.side}`, d: `M${x} ${y + tip}L${x + size} ${y - tip}L${x - size} ${y - tip}Z` });
      const words = `${moment(mark.time)}: ${mark.side} ${units(mark.quantity)} ${mark.symbol} at ${price(mark.price)}`;
      made.append(shape("title", {}, words));
      return made;
    });
  }

  function chart() {
    const picture = byId("chart");
    const { width, height } = picture.getBoundingClientRect();
    const curve = shown.curve;
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    if (!curve.time.length || width < 50) {
      picture.replaceChildren(shape("text", { x: 20, y: 30 }, "no bar yet"));
      return;
    }
    const s = scales(curve, width, height);
    const points = curve.time.map((time, place) => `${s.x(time).toFixed(1)} ${s.y(curve.equity[place]).toFixed(1)}`);
    const falls = curve.time.map((time, place) => `${s.x(time).toFixed(1)} ${s.fall(curve.drawdown[place]).toFixed(1)}`);
    const last = curve.time.length - 1;
    const place = pointer === null ? last : placeAt(curve.time, s.start + ((pointer - s.left) / (s.right - s.left)) * (s.end - s.start));
    const at = s.x(curve.time[place]);
    picture.replaceChildren(
      ...axes(s, width < 500),
      shape("path", { class: "fall", d: `M${s.x(s.start)} ${s.fall(0)}L${falls.join("L")}L${s.x(curve.time[last])} ${s.fall(0)}Z` }),
      shape("path", { class: "line", d: `M${points.join("L")}` }),
      ...marks(s, curve),
      shape("circle", { class: "dot", cx: at, cy: s.y(curve.equity[place]), r: 3.5 }),
      ...(pointer === null ? [] : [shape("line", { class: "cursor", x1: at, x2: at, y1: s.top, y2: s.bottom })]),
    );
    say(byId("readout"), `${moment(curve.time[place])}: ${money(curve.equity[place])}, drawdown ${percent(curve.drawdown[place])}`);
  }

  function draw() {
    if (!shown.symbols.some((part) => part.symbol === chosen)) {
      const decided = shown.symbols.find((part) => shown.decisions[part.symbol]) || shown.symbols[0];
      chosen = decided ? decided.symbol : null;
    }
    head();
    symbols();
    decision();
    limits();
    lists();
    chart();
  }

  // The stream. The browser tries again by itself where the connection breaks, not where it is refused.

  function follow() {
    const status = byId("connection");
    const source = new EventSource(`events${location.search}`);
    source.addEventListener("open", () => say(status, "live", "dim"));
    source.addEventListener("message", (event) => {
      shown = JSON.parse(event.data);
      draw();
    });
    source.addEventListener("error", () => {
      say(status, "connection lost, trying again", "lost");
      if (source.readyState === EventSource.CLOSED) setTimeout(follow, 3000);
    });
  }

  byId("chart").addEventListener("pointermove", (event) => {
    pointer = event.clientX - byId("chart").getBoundingClientRect().left;
    chart();
  });
  byId("chart").addEventListener("pointerleave", () => { pointer = null; chart(); });
  new ResizeObserver(chart).observe(byId("chart"));
  draw();
  if (document.body.dataset.live === "yes") follow();
  else say(byId("connection"), "report: the journal as it stood", "dim");
})();
