"use strict";

// The page says the essential without this script. With it: every connection in a table to sort, filter and search, and a
// drill-down. All text goes through textContent; nothing is fetched.
(async () => {
  if (!("DecompressionStream" in window) || !document.getElementById("table")) return;
  const $ = (id) => document.getElementById(id);

  // --- Data: columns of numbers, texts as numbers into one table of strings

  async function unpack() {
    const packed = atob($("data").textContent);
    const bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return JSON.parse(await new Response(stream).text());
  }

  const data = await unpack();
  const { columns, strings, details, rules, findings, incidents, causes } = data;
  const TEXTS = new Set(["client", "server", "target", "agent", "class", "how", "by", "cause", "sent_client", "sent_server", "reason_client",
    "reason_server", "told_client", "told_server", "transport"]);
  const rows = columns.id.length;
  const rowOf = new Map(columns.id.map((id, row) => [id, row]));
  const text = (name, row) => strings[columns[name][row]];
  const cause = (word) => causes[word] ?? word.replaceAll("-", " ");
  const number = (value) => value.toLocaleString("en");
  const bytes = (value) => (value === null ? "size unknown" : `${number(value)} B`);
  const CODES = { none: "no Close frame", empty: "Close without a code", unknown: "cannot be told" };
  const code = (word) => CODES[word] ?? word;

  function clock(ms) {
    const date = new Date(ms);
    return ms === null || Number.isNaN(date.getTime()) ? "" : date.toISOString().split("T")[1].slice(0, 12);
  }

  function seconds(value) {
    if (value === null || value === undefined) return "";
    if (value < 1) return `${+(value * 1000).toPrecision(3)} ms`;
    if (value < 120) return `${value.toFixed(1)} s`;
    const whole = Math.round(value);
    const [minutes, rest] = [Math.floor(whole / 60), whole % 60];
    return minutes < 120 ? `${minutes} min ${String(rest).padStart(2, "0")} s` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  }

  function endpoint(side, row) {
    const address = text(side, row);
    return `${address.includes(":") ? `[${address}]` : address}:${columns[`${side}_port`][row]}`;
  }

  // --- Building elements

  function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  function drawing(tag, attributes = {}, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function mark(kind) {
    return drawing("svg", { class: `mark k-${kind}`, width: 12, height: 12, viewBox: "-6 -6 12 12", "aria-hidden": "true" },
      drawing("use", { href: `#m-${kind}` }));
  }

  // --- Filters: one value per facet, all of them together

  const filters = new Map();
  let query = "";
  const ruleRows = rules.map(() => new Set());
  const findingsOf = new Map();
  findings.forEach((finding) => {
    ruleRows[finding[0]].add(finding[1]);
    if (!findingsOf.has(finding[1])) findingsOf.set(finding[1], []);
    findingsOf.get(finding[1]).push(finding);
  });
  const incidentRows = incidents.map((ids) => new Set(ids));

  function predicate(facet, value) {
    if (facet === "rule") return (row) => ruleRows[value].has(columns.id[row]);
    if (facet === "incident") return (row) => incidentRows[value].has(columns.id[row]);
    if (facet === "abnormal" || facet === "probable") return (row) => columns[facet][row] === 1;
    if (facet === "cause") {
      const wanted = strings.indexOf(value);
      return (row) => columns.cause[row] === wanted && columns.abnormal[row] === 1;
    }
    if (facet === "time") {
      const [from, to] = value;
      return (row) => columns.end[row] !== null && columns.end[row] >= from && columns.end[row] < to;
    }
    const wanted = strings.indexOf(value); // the bars count confirmed connections only
    return (row) => columns[facet][row] === wanted && columns.probable[row] === 0;
  }

  const SEARCHED = ["client", "server", "target", "agent", "reason_client", "reason_server"];
  let folded = null;

  function matcher(words) {
    folded ??= strings.map((one) => one.toLowerCase());
    const wanted = words.toLowerCase();
    const hits = folded.map((one) => one.includes(wanted));
    const port = /^:?\d+$/.test(words) ? Number(words.replace(":", "")) : NaN;
    return (row) => SEARCHED.some((name) => columns[name][row] && hits[columns[name][row]]) || columns.id[row] === port
      || columns.client_port[row] === port || columns.server_port[row] === port;
  }

  function describe(facet, value) {
    switch (facet) {
      case "rule": return `rule ${rules[value].rule}`;
      case "incident": return `incident ${Number(value) + 1}`;
      case "abnormal": return "abnormal ends";
      case "probable": return "probable WebSockets";
      case "time": return `ended ${clock(value[0])} to ${clock(value[1])}`;
      case "cause": return `cause: ${cause(value)}`;
      case "class": return value.replaceAll("-", " ");
      default: return `${facet.replace("sent_", "sent by ").replace("told_", "told to ")}: ${code(value)}`;
    }
  }

  // --- Order

  const SHOWN = [ // column, heading, class; "w" is for wide screens only
    ["id", "#", ""], ["end", "ended", ""], ["duration", "lasted", "w"], ["client", "client", "w"], ["server", "server", "w"], ["target", "target", "w"],
    ["class", "class", ""], ["how", "transport", "w"], ["cause", "cause", ""], ["sent_client", "sent c", "w code"], ["sent_server", "sent s", "w code"],
    ["told_client", "told c", "w code"], ["told_server", "told s", "w code"],
  ];
  const SIDES = { sent_client: "Close code sent by the client", sent_server: "Close code sent by the server", told_client: "Code the client's API was told",
    told_server: "Code the server's API was told" };
  let sort = { name: "id", direction: 1 };
  let ranks = null;
  const keys = new Map();

  // Comparing texts is slow; it is done once for the whole table of strings, when the page is idle.
  function rankStrings() {
    if (ranks) return;
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    ranks = new Float64Array(strings.length);
    strings.map((one, index) => index).sort((a, b) => compare(strings[a], strings[b])).forEach((index, rank) => { ranks[index] = rank; });
  }

  function key(name) {
    if (!keys.has(name)) {
      if (TEXTS.has(name)) rankStrings();
      keys.set(name, Float64Array.from(columns[name], (value) => (TEXTS.has(name) ? ranks[value] : value ?? Infinity)));
    }
    return keys.get(name);
  }

  let order = new Uint32Array(0);

  function select() {
    const tests = [...filters].map(([facet, value]) => predicate(facet, value));
    if (query) tests.push(matcher(query));
    const chosen = [];
    for (let row = 0; row < rows; row++) if (tests.every((test) => test(row))) chosen.push(row);
    order = Uint32Array.from(chosen);
  }

  function arrange() {
    const by = key(sort.name);
    const sign = sort.direction;
    order.sort((a, b) => (by[a] === by[b] ? a - b : sign * (by[a] < by[b] ? -1 : 1)));
  }

  // --- The table: only the rows in sight exist

  const HEIGHT = 30;
  const SPARE = 8;
  const viewport = $("viewport");
  const table = $("table");
  const body = table.tBodies[0];
  let active = -1;

  function drawHead() {
    const heads = SHOWN.map(([name, heading, kind]) => {
      const button = element("button", { type: "button" }, heading);
      button.addEventListener("click", () => {
        sort = { name, direction: sort.name === name ? -sort.direction : 1 };
        arrange();
        viewport.scrollTop = 0;
        markSort();
        drawRows();
      });
      if (SIDES[name]) button.title = SIDES[name];
      const cell = element("th", { scope: "col", className: `${kind} col-${name}` }, button);
      cell.dataset.name = name;
      return cell;
    });
    table.tHead.rows[0].replaceChildren(...heads);
  }

  function markSort() {
    for (const cell of table.tHead.rows[0].cells) {
      if (cell.dataset.name === sort.name) cell.setAttribute("aria-sort", sort.direction > 0 ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
  }

  function cellOf(name, row) {
    switch (name) {
      case "end": return columns.end[row] === null ? text("class", row) === "ongoing" ? "open" : "" : clock(columns.end[row]);
      case "duration": return seconds(columns.duration[row]);
      case "client": case "server": return endpoint(name, row);
      case "class": return text("class", row).replaceAll("-", " ");
      case "how": return [text("how", row).replaceAll("-", " "), text("by", row)].filter(Boolean).join(", ");
      case "cause": {
        const sure = columns.confidence[row];
        return cause(text("cause", row)) + (!sure || sure > 0.995 ? "" : ` ${sure.toFixed(2)}`);
      }
      case "sent_client": case "sent_server": return { none: "–", unknown: "?" }[text(name, row)] ?? text(name, row);
      case "told_client": case "told_server": return text(name, row) === "unknown" ? "?" : text(name, row) || "–";
      default: return text(name, row);
    }
  }

  function drawRow(position) {
    const row = order[position];
    const id = columns.id[row];
    const line = element("tr", { className: position === active ? "active" : "", "aria-rowindex": position + 2, "data-row": position });
    for (const [name, , kind] of SHOWN) {
      if (name === "id") {
        line.append(element("th", { scope: "row" }, element("button", { type: "button", tabIndex: -1, ariaLabel: `Open connection ${id}` }, String(id))));
        continue;
      }
      const cell = element("td", { className: kind });
      const shown = cellOf(name, row);
      if (name === "class") cell.append(mark(text("class", row)), element("span", {}, shown));
      else cell.append(shown);
      if (shown === "1006") cell.classList.add("bad");
      if (name === "target" || name === "cause") cell.title = shown;
      line.append(cell);
    }
    return line;
  }

  function spacer(size) {
    const line = element("tr", { className: "spacer", ariaHidden: "true" }, element("td"));
    line.style.height = `${size}px`;
    return line;
  }

  function drawRows() {
    const first = Math.max(Math.floor(viewport.scrollTop / HEIGHT) - SPARE, 0);
    const last = Math.min(first + Math.ceil(viewport.clientHeight / HEIGHT) + 2 * SPARE, order.length);
    const lines = [];
    if (first) lines.push(spacer(first * HEIGHT));
    for (let position = first; position < last; position++) lines.push(drawRow(position));
    if (last < order.length) lines.push(spacer((order.length - last) * HEIGHT));
    body.replaceChildren(...lines);
    table.setAttribute("aria-rowcount", order.length + 1);
  }

  let pending = 0;
  viewport.addEventListener("scroll", () => {
    pending ||= requestAnimationFrame(() => { pending = 0; drawRows(); });
  }, { passive: true });

  function moveTo(position) {
    if (!order.length) return;
    active = Math.min(Math.max(position, 0), order.length - 1);
    const top = active * HEIGHT;
    const room = viewport.clientHeight - 2 * HEIGHT;
    if (top < viewport.scrollTop) viewport.scrollTop = top;
    else if (top > viewport.scrollTop + room) viewport.scrollTop = top - room;
    drawRows();
    viewport.setAttribute("aria-description", `connection ${columns.id[order[active]]}`);
  }

  viewport.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      event.preventDefault();
      moveTo(active + steps[event.key]);
    } else if (event.key === "Enter" && active >= 0 && event.target === viewport) {
      event.preventDefault();
      openSheet(columns.id[order[active]]);
    }
  });
  body.addEventListener("click", (event) => {
    const line = event.target.closest("tr[data-row]");
    if (!line) return;
    active = Number(line.dataset.row);
    openSheet(columns.id[order[active]]);
  });

  // --- Showing what is chosen

  function chip(facet, value) {
    const words = describe(facet, value);
    const button = element("button", { type: "button", ariaLabel: `Remove filter ${words}` }, `${words} ✕`);
    button.addEventListener("click", () => toggle(facet, null));
    return button;
  }

  function refresh() {
    select();
    arrange();
    active = -1;
    viewport.scrollTop = 0;
    drawRows();
    $("count").textContent = order.length === rows ? `${number(rows)} connections` : `${number(order.length)} of ${number(rows)} connections`;
    const chips = [...filters].map(([facet, value]) => element("li", {}, chip(facet, value)));
    if (filters.size > 1) {
      const all = element("button", { type: "button" }, "clear all");
      all.addEventListener("click", () => { filters.clear(); refresh(); });
      chips.push(element("li", {}, all));
    }
    $("chips").replaceChildren(...chips);
    for (const pick of document.querySelectorAll(".pick")) {
      pick.setAttribute("aria-pressed", String(filters.get(pick.dataset.facet)) === pick.dataset.value);
    }
    drawTray();
  }

  function toggle(facet, value) {
    if (value === null || String(filters.get(facet)) === String(value)) filters.delete(facet);
    else filters.set(facet, value);
    refresh();
  }

  let tableInSight = false;

  function drawTray() {
    const tray = $("tray");
    tray.hidden = tableInSight || !filters.size;
    if (tray.hidden) return;
    const go = element("button", { type: "button" }, "Show them");
    go.addEventListener("click", () => { $("connections").scrollIntoView(); viewport.focus(); });
    const clear = element("button", { type: "button" }, "Clear");
    clear.addEventListener("click", () => { filters.clear(); refresh(); });
    const words = [...filters].map(([facet, value]) => describe(facet, value)).join(" + ");
    tray.replaceChildren(element("span", {}, `${number(order.length)} of ${number(rows)}: ${words}`), go, clear);
  }

  document.addEventListener("click", (event) => {
    const pick = event.target.closest(".pick");
    if (pick) {
      toggle(pick.dataset.facet, pick.dataset.value);
      if (pick.classList.contains("link")) $("connections").scrollIntoView();
      return;
    }
    const lane = event.target.closest("[data-connection]");
    if (lane) openSheet(Number(lane.dataset.connection));
    const link = event.target.closest('a[href^="#c"]');
    if (link && /^#c\d+$/.test(link.hash)) {
      event.preventDefault();
      openSheet(Number(link.hash.slice(2)));
    }
  });

  const chart = $("timeline");
  chart?.addEventListener("click", (event) => {
    const box = chart.getBoundingClientRect();
    const count = Number(chart.dataset.columns);
    const [from, to] = [chart.dataset.start, chart.dataset.end].map((value) => Number(BigInt(value) / 1000n) / 1000);
    const column = Math.min(Math.max(Math.floor((event.clientX - box.left) / box.width * count), 0), count - 1);
    const width = (to - from) / count;
    toggle("time", [from + column * width, column === count - 1 ? Infinity : from + (column + 1) * width]);
  });

  $("search").addEventListener("input", (event) => { query = event.target.value.trim(); refresh(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(event.target.tagName) && !$("sheet").open) {
      event.preventDefault();
      $("search").focus();
    }
  });

  // --- Drill-down

  function copyLine(words) {
    const button = element("button", { type: "button" }, "Copy");
    const line = element("code", {}, words);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(words);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(line);
        button.textContent = "Selected";
      }
    });
    return element("div", { className: "copyline" }, line, button);
  }

  function list(facts) {
    return element("ul", {}, ...facts.map((fact) => element("li", {}, fact)));
  }

  function table2(pairs) {
    return element("dl", {}, ...pairs.filter(([, value]) => value).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]));
  }

  function filterOf(row) {
    const parts = data.addresses ? ["client", "server"].map((side) => {
      const address = text(side, row);
      return `${address.includes(":") ? "ipv6" : "ip"}.addr == ${address} && tcp.port == ${columns[`${side}_port`][row]}`;
    }) : [];
    if (columns.first_packet[row]) parts.push(`frame.number >= ${columns.first_packet[row]} && frame.number <= ${columns.last_packet[row]}`);
    return parts.join(" && ");
  }

  // The ladder: client on the left, server on the right, time downwards, long silences said and not drawn.
  function ladder(row, frames) {
    const narrow = innerWidth < 640;
    const [left, right, width, step] = narrow ? [74, 286, 360, 30] : [110, 500, 620, 30];
    const parts = [];
    let y = 34;
    let before = null;
    const arrow = (kind, fromServer, label, when, packet) => {
      const [from, to] = fromServer ? [right, left] : [left, right];
      const tip = fromServer ? 7 : -7;
      parts.push(drawing("g", { class: kind },
        drawing("text", { x: left - 10, y: y + 4, "text-anchor": "end", class: "dim" }, when),
        drawing("path", { class: "arrow", d: `M${from} ${y}H${to}m${tip}-4 ${-tip} 4 ${tip} 4` }),
        drawing("text", { x: (left + right) / 2, y: y - 4, "text-anchor": "middle" }, label),
        drawing("text", { x: right + 10, y: y + 4, class: "dim" }, packet)));
      y += step;
    };
    const pause = (gap) => {
      parts.push(drawing("line", { class: "pause", x1: left, x2: right, y1: y - 6, y2: y - 6 }),
        drawing("text", { x: (left + right) / 2, y: y - 10, "text-anchor": "middle", class: "dim" }, `${seconds(gap)} without a frame`));
      y += step;
    };
    for (const [when, packet, fromServer, label, length] of frames) {
      if (before !== null && when - before > 2) pause(when - before);
      arrow(label.split(" ")[0], fromServer, `${label}, ${number(length)} B`, `+${when.toFixed(3)} s`, `${narrow ? "#" : "packet "}${packet}`);
      before = when;
    }
    const how = text("how", row);
    const duration = columns.duration[row];
    if (before !== null && duration !== null && duration - before > 2) pause(duration - before);
    if (how === "fin" || how === "rst") {
      arrow("end", text("by", row) === "server", how.toUpperCase(), duration === null ? "" : `+${duration.toFixed(3)} s`, "");
    } else if (how) {
      parts.push(drawing("g", { class: "end" }, drawing("text", { x: (left + right) / 2, y, "text-anchor": "middle" }, how.replaceAll("-", " "))));
      y += step;
    }
    const size = y;
    return drawing("svg", { class: "ladder", width: "100%", viewBox: `0 0 ${width} ${size}`, role: "img", "aria-label": `The last ${frames.length} frames` },
      drawing("text", { x: left, y: 12, "text-anchor": "middle", class: "dim" }, "client"),
      drawing("text", { x: right, y: 12, "text-anchor": "middle", class: "dim" }, "server"),
      drawing("line", { class: "rail", x1: left, x2: left, y1: 18, y2: size }), drawing("line", { class: "rail", x1: right, x2: right, y1: 18, y2: size }), ...parts);
  }

  function closeWords(side, row) {
    const sent = text(`sent_${side}`, row);
    const reason = text(`reason_${side}`, row);
    const known = { none: "no Close frame", empty: "Close without a code", unknown: "Close whose code was not captured" };
    return (known[sent] ?? `Close ${sent}`) + (reason ? ` “${reason}”` : "");
  }

  function toldWords(side, row) {
    const told = text(`told_${side}`, row);
    return told === "unknown" ? "cannot be told" : told || "nothing";
  }

  function sheetContent(id, row) {
    const more = details[id] ?? { evidence: [], others: [], confirm: "", facts: {}, frames: [] };
    const kind = text("class", row);
    const sure = columns.confidence[row];
    const parts = [
      element("p", { className: "lead" }, mark(kind), ` ${kind.replaceAll("-", " ")}: ${cause(text("cause", row))}`,
        sure ? `, confidence ${sure.toFixed(2)}` : ""),
    ];
    if (more.others.length) parts.push(element("p", { className: "note" }, `or ${more.others.map(([name, value]) => `${cause(name)}, ${value.toFixed(2)}`).join("; ")}`));
    if (more.evidence.length) parts.push(element("h3", {}, "Evidence"), list(more.evidence));
    if (more.confirm) parts.push(element("p", { className: "confirm" }, element("span", {}, "To be sure"), more.confirm));
    if (more.frames.length) parts.push(element("h3", {}, "Its last frames"), ladder(row, more.frames));
    parts.push(element("h3", {}, "Both sides"), table2([
      ["Client sent", closeWords("client", row)], ["Server sent", closeWords("server", row)],
      ["Client was told", toldWords("client", row)], ["Server was told", toldWords("server", row)],
      ["Transport ended", cellOf("how", row)],
    ]));
    parts.push(element("h3", {}, "Connection"), table2([
      ["Capture", data.inputs.length > 1 ? data.inputs[columns.input[row]] : ""],
      ["Client", endpoint("client", row)], ["Server", endpoint("server", row)], ["Target", text("target", row)], ["User-Agent", text("agent", row)],
      ["Started", `${clock(columns.start[row])} UTC`], ["Ended", columns.end[row] === null ? "still open" : `${clock(columns.end[row])} UTC`],
      ["Lasted", seconds(columns.duration[row])], ["Handshake", columns.status[row] ? `HTTP ${columns.status[row]}` : ""], ["Transport", text("transport", row)],
      ["Messages", `${number(columns.messages_client[row])} from the client (${bytes(columns.bytes_client[row])}), ${number(columns.messages_server[row])} from the server (${bytes(columns.bytes_server[row])})`],
      ...Object.entries(more.facts),
    ]));
    const found = findingsOf.get(id) ?? [];
    if (found.length) {
      parts.push(element("h3", {}, "Findings"), ...found.flatMap(([rule, , packet, last, times, words, , offset]) => [
        element("p", {}, element("b", {}, `${rules[rule].rule} ${rules[rule].name.replaceAll("-", " ")}`), ` ${rules[rule].verdict}, fault of the ${rules[rule].at_fault}, ${rules[rule].reference}`),
        element("p", {}, `${strings[words]}${times > 1 ? ` (${number(times)} times)` : ""}${offset === null ? "" : `, stream offset ${number(offset)}`}`),
        packet === null ? null : copyLine(last && last !== packet ? `frame.number in {${packet}, ${last}}` : `frame.number == ${packet}`),
      ]));
    }
    parts.push(element("h3", {}, "Look closer"), copyLine(filterOf(row)), copyLine(`wsaudit show ${data.captures} -c ${id}`));
    return parts.filter((part) => part !== null);
  }

  const sheet = $("sheet");

  function openSheet(id) {
    const row = rowOf.get(id);
    if (row === undefined) return;
    const place = order.indexOf(row);
    const step = (by, words) => {
      const button = element("button", { type: "button", disabled: place < 0 || order[place + by] === undefined, ariaLabel: words }, by < 0 ? "←" : "→");
      button.addEventListener("click", () => openSheet(columns.id[order[place + by]]));
      return button;
    };
    const close = element("button", { type: "button" }, "Close");
    close.addEventListener("click", () => sheet.close());
    const head = element("header", {}, element("h2", { id: "sheet-title" }, `Connection ${id}`), step(-1, "Previous connection"), step(1, "Next connection"), close);
    sheet.replaceChildren(head, ...sheetContent(id, row));
    if (!sheet.open) sheet.showModal();
    sheet.scrollTop = 0;
    history.replaceState(null, "", `#c${id}`);
  }

  sheet.addEventListener("close", () => history.replaceState(null, "", "#connections"));
  sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
  sheet.addEventListener("keydown", (event) => {
    const arrows = { ArrowLeft: "Previous connection", ArrowRight: "Next connection" };
    if (event.key in arrows) sheet.querySelector(`[aria-label="${arrows[event.key]}"]`)?.click();
  });

  // --- Start

  document.documentElement.classList.add("js");
  $("explorer").hidden = false;
  drawHead();
  markSort();
  refresh();
  new IntersectionObserver(([entry]) => { tableInSight = entry.isIntersecting; drawTray(); }).observe(viewport);
  new ResizeObserver(() => drawRows()).observe(viewport);
  (window.requestIdleCallback ?? setTimeout)(rankStrings);
  const opened = /^#c(\d+)$/.exec(location.hash);
  if (opened) openSheet(Number(opened[1]));
  document.documentElement.dataset.ready = "yes";
})();
