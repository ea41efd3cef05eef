"use strict";
// Everything shown is put in as text; nothing is ever parsed as HTML, and nothing is fetched.
(() => {
  const $ = (id) => document.getElementById(id);
  const ROW_PX = 24, MOST_PX = 12e6, STEP_S = 2;

  /** The bytes of a packed block of the page; null when it is empty. */
  async function unpacked(id) {
    const packed = $(id).textContent.trim();
    $(id).remove();
    if (!packed) return null;
    const plain = new Blob([bytesOf(packed)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(plain);
  }

  const bytesOf = (packed) => Uint8Array.from(atob(packed), (char) => char.charCodeAt(0));
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

  function clock(seconds) {
    const tenths = Math.floor(Math.max(seconds, 0) * 10 + 1e-6);
    const [minutes, rest] = [Math.floor(tenths / 600), tenths % 600];
    const text = `${String(Math.floor(rest / 10)).padStart(2, "0")}.${rest % 10}`;
    const hours = Math.floor(minutes / 60);
    return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${text}` : `${minutes}:${text}`;
  }

  /** Where in the session we are, and the sound that goes with it. Tells `onMove` of every change. */
  class Player {
    constructor(lengthS, onMove) {
      this.audio = $("audio");
      this.lengthS = lengthS;
      this.startsS = 0;
      this.hasSound = false;
      this.at = 0;
      this.onMove = onMove;
      $("play").addEventListener("click", () => this.toggle());
      $("speed").addEventListener("change", () => { this.audio.playbackRate = Number($("speed").value); });
      for (const name of ["play", "pause", "ended"]) this.audio.addEventListener(name, () => this.changed());
      this.audio.addEventListener("seeked", () => this.follow());
    }

    load(blob, startsS) {
      this.audio.src = URL.createObjectURL(blob);
      this.startsS = startsS;
      this.hasSound = true;
    }

    get playing() { return this.hasSound && !this.audio.paused && !this.audio.ended; }

    toggle() {
      if (!this.hasSound) return;
      if (this.playing) this.audio.pause();
      else {
        if (this.audio.ended) this.seek(0);
        this.audio.play().catch((error) => fail(`The audio cannot be played: ${error.message}`));
      }
    }

    seek(seconds) {
      this.at = clamp(seconds, 0, this.lengthS);
      if (this.hasSound) this.audio.currentTime = Math.max(this.at - this.startsS, 0);
      this.onMove(this.at, this.playing);
    }

    changed() {
      $("play").textContent = this.playing ? "❚❚ Pause" : "▶ Play";
      $("play").setAttribute("aria-pressed", String(this.playing));
      if (this.playing) this.run();
    }

    run() {
      this.follow();
      if (this.playing) requestAnimationFrame(() => this.run());
    }

    follow() {
      if (this.audio.seeking || !this.hasSound) return;
      this.at = this.audio.currentTime + this.startsS;
      this.onMove(this.at, this.playing);
    }
  }

  const LANES = { ruler: [0, 20], turns: [22, 20], user: [48, 76], agent: [130, 76], marks: [214, 32] };
  const GLYPHS = { error: "✗", finding: "!", tool: "ƒ", "barge-in": "⇄", loss: "▾", condition: "◆", note: "◈" };
  const INKS = { error: "bad", finding: "warn", tool: "accent", "barge-in": "user", loss: "bad", condition: "warn", note: "accent" };

  /** Both waveforms with turns, words and marks at their place; draws itself anew when looked at differently. */
  class Timeline {
    constructor(data, player) {
      this.data = data;
      this.player = player;
      this.peaks = data.bin_s ? { user: bytesOf(data.user), agent: bytesOf(data.agent) } : null;
      this.from = 0;
      this.to = this.lengthS = Math.max(data.length_s, 0.001);
      this.strip = $("strip");
      this.strip.setAttribute("aria-valuemax", this.lengthS.toFixed(1));
      const redraw = () => requestAnimationFrame(() => this.draw());
      new ResizeObserver(redraw).observe(this.strip);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
      this.listen();
    }

    listen() {
      this.drag(this.strip, (x) => this.player.seek(this.nearest(x)));
      this.drag($("overview"), (x) => this.show(this.lengthS * x - (this.to - this.from) / 2));
      this.strip.addEventListener("pointermove", (event) => this.point(event));
      this.strip.addEventListener("pointerleave", () => { $("tip").hidden = true; });
      this.strip.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      $("zoom-in").addEventListener("click", () => this.zoom(0.5));
      $("zoom-out").addEventListener("click", () => this.zoom(2));
      $("zoom-all").addEventListener("click", () => this.zoom(Infinity));
    }

    drag(element, move) {
      const at = (event) => {
        const box = element.getBoundingClientRect();
        this.pointedY = event.clientY - box.top;
        return clamp((event.clientX - box.left) / box.width, 0, 1);
      };
      element.addEventListener("pointerdown", (event) => {
        element.setPointerCapture(event.pointerId);
        move(at(event));
      });
      element.addEventListener("pointermove", (event) => { if (event.buttons & 1) move(at(event)); });
    }

    wheel(event) {
      const box = this.strip.getBoundingClientRect();
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.seconds((event.clientX - box.left) / box.width));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        this.show(this.from + ((event.deltaX || event.deltaY) / box.width) * (this.to - this.from));
      }
    }

    seconds(share) { return this.from + share * (this.to - this.from); }

    x(seconds) { return ((seconds - this.from) / (this.to - this.from)) * this.width; }

    nearest(share) {
      const mark = this.markAt(share * this.width, this.pointedY);
      return mark ? mark[0] : this.seconds(share);
    }

    markAt(x, y) {
      if (y < LANES.marks[0]) return null;
      let [best, distance] = [null, 10];
      for (const mark of this.data.marks) {
        const away = Math.abs(this.x(mark[0]) - x);
        if (away < distance) [best, distance] = [mark, away];
      }
      return best;
    }

    point(event) {
      const box = this.strip.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const mark = this.markAt(x, y), tip = $("tip");
      const at = clock(mark ? mark[0] : this.seconds(x / box.width));
      tip.textContent = mark ? `${at}  ${mark[2]}: ${mark[3]}` : at;
      tip.hidden = false;
      tip.style.left = `${clamp(x + 12, 0, Math.max(box.width - tip.offsetWidth - 4, 0))}px`;
      tip.style.top = `${clamp(y - tip.offsetHeight - 8, 2, box.height)}px`;
    }

    zoom(factor, around = clamp(this.player.at, this.from, this.to)) {
      const span = clamp((this.to - this.from) * factor, Math.min(0.5, this.lengthS), this.lengthS);
      const share = (around - this.from) / (this.to - this.from);
      this.to = this.from + span;
      this.show(around - share * span);
    }

    /** Have the picture begin there, as far as the session goes. */
    show(from) {
      const span = Math.min(this.to - this.from, this.lengthS);
      this.from = clamp(from, 0, this.lengthS - span);
      this.to = this.from + span;
      this.draw();
    }

    /** Put the playhead there, in sight. */
    move(seconds) {
      const span = this.to - this.from;
      if (span < this.lengthS && (seconds < this.from || seconds > this.to)) this.show(seconds - span * 0.1);
      $("playhead").style.transform = `translateX(${this.x(seconds)}px)`;
      this.strip.setAttribute("aria-valuenow", seconds.toFixed(1));
      this.strip.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(this.lengthS)}`);
      $("clock").textContent = `${clock(seconds)} / ${clock(this.lengthS)}`;
    }

    draw() {
      const ink = getComputedStyle(document.documentElement);
      this.ink = (name) => ink.getPropertyValue(`--${name}`).trim();
      const pen = this.pen = this.prepared($("picture"));
      this.width = $("picture").clientWidth;
      pen.font = "12px system-ui, sans-serif";
      pen.textBaseline = "middle";
      this.drawRuler();
      for (const [track, ...words] of [["user", 1, 5], ["agent", 3, 6]]) {
        this.wave(pen, track, LANES[track], this.from, this.to, this.width);
        this.drawWords(track, words);
      }
      this.drawTurns();
      this.drawMarks();
      this.drawOverview();
      this.move(this.player.at);
    }

    prepared(canvas) {
      const scale = devicePixelRatio || 1, pen = canvas.getContext("2d");
      canvas.width = Math.round(canvas.clientWidth * scale);
      canvas.height = Math.round(canvas.clientHeight * scale);
      pen.scale(scale, scale);
      return pen;
    }

    drawRuler() {
      const [pen, span] = [this.pen, this.to - this.from];
      const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
      const step = steps.find((each) => (each / span) * this.width > 64) || 7200;
      for (let tick = Math.ceil(this.from / step); tick * step <= this.to; tick++) {
        const x = this.x(tick * step);
        pen.fillStyle = this.ink("line");
        pen.fillRect(Math.round(x), 0, 1, 250);
        pen.fillStyle = this.ink("muted");
        pen.fillText(step < 1 ? clock(tick * step) : clock(tick * step).slice(0, -2), x + 4, 10);
      }
    }

    wave(pen, track, [top, height], from, to, width) {
      const middle = top + height / 2, half = height / 2 - 1;
      pen.fillStyle = this.ink("line");
      pen.fillRect(0, middle, width, 1);
      if (!this.peaks) return;
      const peaks = this.peaks[track], bins = peaks.length, { bin_s: binS, starts_s: startsS } = this.data;
      pen.fillStyle = this.ink(track);
      for (let x = 0; x < width; x++) {
        const at = (share) => (from + (share / width) * (to - from) - startsS) / binS;
        const first = Math.max(Math.floor(at(x)), 0), last = Math.min(Math.max(Math.floor(at(x + 1)), first + 1), bins);
        let peak = 0;
        for (let bin = first; bin < last; bin++) peak = Math.max(peak, peaks[bin]);
        if (peak) pen.fillRect(x, middle - (peak / 255) * half, 1, Math.max((peak / 127.5) * half, 1));
      }
    }

    drawWords(track, [when, text]) {
      const pen = this.pen, [top] = LANES[track];
      const said = this.data.turns.filter((turn) => turn[text] && turn[when] !== null);
      said.forEach((turn, index) => {
        const x = Math.max(this.x(turn[when]), 2), next = said[index + 1];
        const end = Math.min(next ? this.x(next[when]) : this.width, this.width);
        const fitted = this.fit(turn[text], end - x - 8);
        if (!fitted) return;
        pen.fillStyle = this.ink("lane");
        pen.globalAlpha = 0.75;
        pen.fillRect(x, top, pen.measureText(fitted).width + 6, 16);
        pen.globalAlpha = 1;
        pen.fillStyle = this.ink("ink");
        pen.fillText(fitted, x + 3, top + 8);
      });
    }

    fit(text, width) {
      if (width < 24) return "";
      if (this.pen.measureText(text).width <= width) return text;
      let [few, many] = [0, text.length];
      while (many - few > 1) {
        const half = (few + many) >> 1;
        if (this.pen.measureText(text.slice(0, half) + "…").width <= width) few = half;
        else many = half;
      }
      return few > 1 ? text.slice(0, few) + "…" : "";
    }

    drawTurns() {
      const pen = this.pen, [top, height] = LANES.turns;
      const span = (from, to, name, label, alpha) => {
        if (from === null || to === null || to < this.from || from > this.to) return;
        const x = this.x(from), width = Math.max(this.x(to) - x, 1);
        pen.globalAlpha = alpha;
        pen.fillStyle = this.ink(name);
        pen.fillRect(x, top, width, height);
        pen.globalAlpha = 1;
        pen.fillStyle = this.ink("ink");
        const fitted = width > pen.measureText(label).width + 6 ? label : "";
        if (fitted) pen.fillText(fitted, Math.max(x, 0) + 4, top + height / 2 + 1);
      };
      for (const [number, began, ended, answered, over] of this.data.turns) {
        span(began, ended ?? answered, "user", String(number), 0.35);
        if (ended !== null && answered !== null && answered > ended) {
          span(ended, answered, "part-prebuffer", `${Math.round((answered - ended) * 1000)} ms`, 0.45);
        }
        span(answered, over, "agent", began === null ? String(number) : "", 0.35);
      }
    }

    drawMarks() {
      const pen = this.pen, [top] = LANES.marks, free = [-Infinity, -Infinity];
      for (const [seconds, until, look] of this.data.marks) {
        if ((until ?? seconds) < this.from || seconds > this.to) continue;
        const x = this.x(seconds), line = x - free[0] >= 14 ? 0 : 1, middle = top + 8 + 16 * line;
        free[line] = x;
        pen.fillStyle = this.ink(INKS[look]);
        pen.globalAlpha = 0.3;
        pen.fillRect(x, LANES.user[0], 1, top - LANES.user[0]);
        if (until !== null) pen.fillRect(x, middle - 3, Math.max(this.x(until) - x, 2), 6);
        pen.globalAlpha = 1;
        pen.font = "bold 14px system-ui, sans-serif";
        const half = pen.measureText(GLYPHS[look]).width / 2;
        pen.fillText(GLYPHS[look], clamp(x, half + 1, this.width - half - 1) - half, middle);
      }
      pen.font = "12px system-ui, sans-serif";
      for (const track of ["user", "agent"]) {
        pen.fillStyle = this.ink(track);
        pen.fillText(track, 4, LANES[track][0] + LANES[track][1] - 8);
      }
    }

    drawOverview() {
      const canvas = $("overview"), pen = this.prepared(canvas);
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      this.wave(pen, "user", [0, height / 2], 0, this.lengthS, width);
      this.wave(pen, "agent", [height / 2, height / 2], 0, this.lengthS, width);
      const [from, to] = [this.from, this.to].map((each) => (each / this.lengthS) * width);
      pen.fillStyle = this.ink("ground");
      pen.globalAlpha = 0.65;
      pen.fillRect(0, 0, from, height);
      pen.fillRect(to, 0, width - to, height);
      pen.globalAlpha = 1;
      pen.strokeStyle = this.ink("accent");
      pen.strokeRect(from + 0.5, 0.5, Math.max(to - from - 1, 2), height - 1);
    }
  }

  const [SECONDS, NUMBER, ARROW, LEVEL, KIND, SUMMARY, DETAIL] = [0, 1, 2, 3, 4, 5, 6];
  const LEVELS = { "!": "warning", "✗": "error" };
  const DIRECTIONS = { "→": "sent", "←": "received" };

  /** What a filter asks for, as a predicate over a row's text. Throws `SyntaxError`. */
  function predicate(text) {
    const whole = text.trim();
    if (whole.length > 2 && whole.startsWith("/") && whole.endsWith("/")) {
      const wanted = new RegExp(whole.slice(1, -1), "i");
      return (row) => wanted.test(row);
    }
    const words = whole.toLowerCase().split(/\s+/).filter(Boolean);
    const unwanted = words.filter((word) => word.length > 1 && word.startsWith("-")).map((word) => word.slice(1));
    const wanted = words.filter((word) => word === "-" || !word.startsWith("-"));
    return (row) => wanted.every((word) => row.includes(word)) && !unwanted.some((word) => row.includes(word));
  }

  /** The rows of the event log, of which only those in sight are elements. */
  class EventList {
    constructor(rows, player) {
      this.rows = rows;
      this.player = player;
      this.texts = rows.map((row) => `${row[KIND]} ${row[SUMMARY]}`.toLowerCase());
      this.byTime = rows.map((_, index) => index).sort((a, b) => rows[a][SECONDS] - rows[b][SECONDS] || a - b);
      this.list = $("list");
      this.chosen = this.now = -1;
      $("filter").addEventListener("input", () => this.filter());
      $("level").addEventListener("change", () => this.filter());
      this.list.addEventListener("scroll", () => this.draw(), { passive: true });
      this.list.addEventListener("keydown", (event) => this.key(event));
      this.list.addEventListener("click", (event) => {
        const row = event.target.closest("[data-index]");
        if (row) this.choose(Number(row.dataset.index), true);
      });
      new ResizeObserver(() => this.draw()).observe(this.list);
      this.filter();
    }

    filter() {
      const level = $("level").value;
      let fits;
      try {
        fits = predicate($("filter").value);
      } catch {
        $("filter").setAttribute("aria-invalid", "true");
        $("count").textContent = "not a regular expression";
        return;
      }
      $("filter").removeAttribute("aria-invalid");
      this.matches = [];
      this.rows.forEach((row, index) => {
        if ((!level || row[LEVEL] === "✗" || row[LEVEL] === level) && fits(this.texts[index])) this.matches.push(index);
      });
      const [some, all] = [this.matches.length, this.rows.length].map((count) => count.toLocaleString("en"));
      $("count").textContent = some === all ? `${all} rows` : `${some} of ${all} rows`;
      $("whole").style.height = `${Math.min(this.matches.length * ROW_PX, MOST_PX)}px`;
      this.draw();
    }

    /** How many pixels of rows lie above what is shown: the scroll bar ends where elements may not be taller. */
    get above() {
      const [height, real] = [this.list.clientHeight, this.matches.length * ROW_PX];
      const most = Math.min(real, MOST_PX) - height;
      return most > 0 ? (this.list.scrollTop / most) * (real - height) : 0;
    }

    reveal(place) {
      const [height, real, above] = [this.list.clientHeight, this.matches.length * ROW_PX, this.above];
      const top = place * ROW_PX;
      if (top >= above && top + ROW_PX <= above + height) return;
      const wanted = clamp(top - height / 3, 0, Math.max(real - height, 0));
      this.list.scrollTop = real > height ? (wanted * (Math.min(real, MOST_PX) - height)) / (real - height) : 0;
    }

    draw() {
      const above = this.above, first = Math.max(Math.floor(above / ROW_PX), 0);
      const until = Math.min(first + Math.ceil(this.list.clientHeight / ROW_PX) + 1, this.matches.length);
      const shown = [];
      for (let place = first; place < until; place++) shown.push(this.element(place));
      $("shown").replaceChildren(...shown);
      $("shown").style.transform = `translateY(${this.list.scrollTop - (above - first * ROW_PX)}px)`;
      const chosen = $(`row-${this.chosen}`);
      if (chosen) this.list.setAttribute("aria-activedescendant", chosen.id);
      else this.list.removeAttribute("aria-activedescendant");
    }

    element(place) {
      const index = this.matches[place], row = this.rows[index], element = document.createElement("div");
      element.className = ["row", LEVELS[row[LEVEL]], DIRECTIONS[row[ARROW]], index === this.now && "now"].filter(Boolean).join(" ");
      element.id = `row-${index}`;
      element.dataset.index = index;
      element.setAttribute("role", "option");
      element.setAttribute("aria-selected", String(index === this.chosen));
      element.setAttribute("aria-posinset", place + 1);
      element.setAttribute("aria-setsize", this.matches.length);
      const cells = { time: (row[SECONDS] < 0 ? "" : "+") + row[SECONDS].toFixed(3), arrow: row[ARROW], level: row[LEVEL], kind: row[KIND], summary: row[SUMMARY] };
      for (const [name, text] of Object.entries(cells)) {
        const cell = document.createElement("span");
        cell.className = name;
        cell.textContent = text;
        element.append(cell);
      }
      return element;
    }

    choose(index, seek) {
      const row = this.rows[index];
      if (!row) return;
      this.chosen = index;
      this.reveal(this.placeOf(index));
      this.draw();
      $("detail").textContent = `${row[NUMBER]}  ${row[KIND]}  ${row[SUMMARY]}${row[DETAIL] ? "\n\n" + pretty(row[DETAIL]) : ""}`;
      $("detail").hidden = false;
      if (seek) this.player.seek(row[SECONDS]);
    }

    key(event) {
      const page = Math.max(Math.floor(this.list.clientHeight / ROW_PX) - 1, 1);
      const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
      if (event.key === "Enter" && this.chosen >= 0) this.player.seek(this.rows[this.chosen][SECONDS]);
      else if (event.key in steps && this.matches.length) {
        const place = this.chosen < 0 ? -1 : this.placeOf(this.chosen);
        this.choose(this.matches[clamp(place + steps[event.key], 0, this.matches.length - 1)], false);
      } else return;
      event.preventDefault();
    }

    placeOf(index) {
      return lastUntil(this.matches, (each) => each <= index);
    }

    move(seconds, playing) {
      const place = lastUntil(this.byTime, (index) => this.rows[index][SECONDS] <= seconds);
      const now = place < 0 ? -1 : this.byTime[place];
      if (now === this.now) return;
      this.now = now;
      if (playing && $("follow").checked && document.activeElement !== this.list) this.reveal(Math.max(this.placeOf(now), 0));
      this.draw();
    }
  }

  /** Position of the last of some that fit, those that do coming first; -1 when none does. */
  function lastUntil(items, fits) {
    let [low, high] = [0, items.length];
    while (low < high) {
      const half = (low + high) >> 1;
      if (fits(items[half])) low = half + 1;
      else high = half;
    }
    return low - 1;
  }

  function pretty(text) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }

  /** The entry of the transcript and the turn that are heard now. */
  class Follower {
    constructor() {
      const timed = (selector, when) => [...document.querySelectorAll(selector)].map((element) => [Number(when(element)), element]);
      this.groups = [
        timed("#transcript li[data-at]", (entry) => entry.dataset.at),
        timed("#turns tbody tr:has(button[data-seek])", (row) => row.querySelector("button").dataset.seek),
      ];
      this.shown = this.groups.map(() => null);
    }

    move(seconds, playing) {
      this.groups.forEach((group, which) => {
        const place = lastUntil(group, ([at]) => at <= seconds + 0.001), element = place < 0 ? null : group[place][1];
        if (element === this.shown[which]) return;
        this.shown[which]?.classList.remove("now");
        this.shown[which] = element;
        if (!element) return;
        element.classList.add("now");
        const box = element.closest(".scroll, .transcript");
        if (playing && box && $("follow").checked) {
          const away = element.getBoundingClientRect().top - box.getBoundingClientRect().top;
          if (away < 0 || away > box.clientHeight - 40) box.scrollTop += away - box.clientHeight / 3;
        }
      });
    }
  }

  function keys(data, player, timeline) {
    const turns = data.turns.map((turn) => turn[1] ?? turn[3]).filter((at) => at !== null);
    const marks = data.marks.map((mark) => mark[0]);
    const next = (times) => times.find((at) => at > player.at + 0.01);
    const before = (times) => times.findLast((at) => at < player.at - 0.3);
    const go = (at) => { if (at !== undefined) player.seek(at); };
    const doing = {
      " ": () => player.toggle(),
      ArrowLeft: () => player.seek(player.at - STEP_S),
      ArrowRight: () => player.seek(player.at + STEP_S),
      "[": () => go(before(turns)), "]": () => go(next(turns)),
      e: () => go(next(marks)), E: () => go(before(marks)),
      "+": () => timeline.zoom(0.5), "=": () => timeline.zoom(0.5), "-": () => timeline.zoom(2), 0: () => timeline.zoom(Infinity),
      "/": () => { $("filter").focus(); $("filter").select(); },
    };
    document.addEventListener("keydown", (event) => {
      const { target, key } = event;
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (target === $("filter") && key === "Escape") target.blur();
      if (target.matches("input, select, textarea") || (key === " " && target.matches("button"))) return;
      if (target === timeline.strip && (key === "Home" || key === "End")) player.seek(key === "Home" ? 0 : data.length_s);
      else if (key in doing) doing[key]();
      else return;
      event.preventDefault();
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-seek]");
      if (button) player.seek(Number(button.dataset.seek));
    });
  }

  function fail(text) {
    $("failure").textContent = text;
    $("failure").hidden = false;
  }

  async function main() {
    const data = await (await unpacked("data")).json();
    $("timeline").hidden = $("events").hidden = false;
    const followers = [];
    const player = new Player(data.length_s, (at, playing) => followers.forEach((each) => each.move(at, playing)));
    const timeline = new Timeline(data, player);
    const events = new EventList(data.rows, player);
    followers.push(timeline, events, new Follower());
    keys(data, player, timeline);
    timeline.draw();
    const sound = await unpacked("sound");
    if (sound) player.load(new Blob([await sound.arrayBuffer()], { type: data.sound }), data.starts_s);
    else $("play").disabled = $("speed").disabled = true;
    $("silent").hidden = Boolean(sound);
    if (data.opens_s !== null) {
      player.seek(data.opens_s);
      events.choose(events.now, false);
    }
    document.documentElement.dataset.ready = "true";
  }

  main().catch((error) => fail(`This browser cannot show the whole report: ${error.message}`));
})();
