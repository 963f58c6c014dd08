"use strict";
// A chart. uPlot draws the axes and handles zoom; this file draws lines, marks and intervals.
//
// A series is { name, curve, colour, shape, dash, points, line, band }.
// A point is { x, y, reach, small, title, text, run }.

class Chart {
  constructor(place, onpick) {
    this.place = place;
    this.onpick = onpick;
    this.series = [];
    this.current = null;
    this.emphasis = null;
    this.tip = h("div", { class: "tip", hidden: true });
    this.said = h("div", { class: "visually", role: "status" });
    const button = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
    this.plot = h("div", { class: "plot", tabindex: "0", role: "application", "aria-roledescription": "chart" });
    place.replaceChildren(
      h("div", { class: "zoom" }, button("+", "Zoom in", () => this.zoom(0.6)),
        button("−", "Zoom out", () => this.zoom(1 / 0.6)), button("all", "Show all", () => this.reset())),
      this.plot, this.tip, this.said);
    this.plot.addEventListener("keydown", (event) => this.key(event));
    this.plot.addEventListener("blur", () => this.point(null));
    new ResizeObserver(() => this.resize()).observe(place);
  }

  /** Show series. options: titles x and y, log, percent, whole, range of y, form of ticks, label for screen readers. */
  show(series, options) {
    const fresh = !this.u || options.x !== this.options.x || options.log !== this.options.log || options.y !== this.options.y;
    this.series = series;
    this.options = options;
    this.points = series.flatMap((each) => each.points.map((point) => ({ ...point, series: each })));
    this.ordered = [...this.points].filter((point) => point.text).sort((p, q) => p.x - q.x || p.y - q.y);
    this.current = null;
    this.tip.hidden = true;
    this.plot.setAttribute("aria-label", options.label);
    this.bounds = this.whole();
    if (fresh) this.make();
    else this.reset(!this.zoomed);
  }

  /** The range of all points and intervals, with a margin. */
  whole() {
    const xs = this.points.map((point) => point.x);
    const ys = this.points.flatMap((point) => [point.y - (point.reach || 0), point.y + (point.reach || 0)]);
    if (!xs.length) return { x: this.options.log ? [1, 10] : [0, 1], y: [0, 100] };
    let [low, high] = [Math.min(...xs), Math.max(...xs)];
    if (this.options.log) {
      const room = Math.max((high / low) ** 0.06, 1.08);
      [low, high] = [low / room, high * room];
    } else {
      const room = (high - low || Math.abs(high) || 1) * 0.05;
      [low, high] = [low - room, high + room];
    }
    if (this.options.range) return { x: [low, high], y: this.options.range };
    const room = (Math.max(...ys) - Math.min(...ys) || 2) * 0.07;
    const [floor, ceiling] = this.options.percent ? [0, 101] : [-Infinity, Infinity];
    return { x: [low, high], y: [Math.max(Math.min(...ys) - room, floor), Math.min(Math.max(...ys) + room, ceiling)] };
  }

  make() {
    if (this.u) this.u.destroy();
    this.zoomed = false;
    const ink = colour("--soft"), grid = colour("--grid");
    const axis = (title, size, form, log) => ({
      label: title, labelSize: 22, labelFont: "13px system-ui, sans-serif", font: "12px system-ui, sans-serif",
      stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size, gap: 6,
      splits: (u, index, least, most) => ticks(least, most, log, Math.max(u[index ? "height" : "width"] / (index ? 55 : log ? 80 : 65), 3), !index && this.options.whole),
      values: (u, splits) => splits.map(form), filter: (u, splits) => splits,
    });
    const { x, y, log, form } = this.options;
    this.u = new uPlot({
      ...this.size(), legend: { show: false },
      scales: {
        x: { time: false, distr: log ? 3 : 1, range: (u, least, most) => [least, most] }, // of the data, or of the zoom
        y: { range: () => this.bounds.y },
      },
      series: [{}, { show: true, paths: () => null, points: { show: false } }],
      axes: [axis(x, 30, form, log), axis(y, 44, (value) => String(Number(value.toFixed(2))), false)],
      cursor: { drag: { x: true, y: true, uni: 30 }, points: { show: false }, x: false, y: false },
      hooks: {
        draw: [() => this.draw()], setCursor: [(u) => this.hover(u.cursor.left, u.cursor.top)],
        setSelect: [(u) => { this.zoomed = this.zoomed || u.select.width > 0; }],
      },
    }, [this.bounds.x, this.bounds.y], this.plot);
    this.u.over.addEventListener("click", (event) => {
      if (this.current && this.onpick) this.onpick(this.current, event.shiftKey);
    });
    this.u.over.addEventListener("dblclick", () => this.reset());
  }

  size() {
    const width = Math.max(this.place.clientWidth, 240);
    return { width, height: Math.round(Math.min(Math.max(width * 0.45, 300), 470)) };
  }

  resize() {
    if (this.u && this.u.width !== this.size().width) this.u.setSize(this.size());
  }

  /** Show the whole range again; with `all` false only redraw. */
  reset(all = true) {
    if (!all) return this.u.redraw(false);
    this.zoomed = false;
    this.u.setData([this.bounds.x, this.bounds.y]);
  }

  /** Show a share of the current range, around the current mark or the middle. */
  zoom(share) {
    const towards = this.current;
    this.zoomed = true;
    this.u.batch(() => {
      for (const [name, log] of [["x", this.options.log], ["y", false]]) {
        const [to, from] = log ? [Math.log, Math.exp] : [(v) => v, (v) => v];
        const { min, max } = this.u.scales[name];
        const middle = towards ? to(towards[name]) : (to(min) + to(max)) / 2;
        this.u.setScale(name, { min: from(middle + (to(min) - middle) * share), max: from(middle + (to(max) - middle) * share) });
      }
    });
    if (towards) this.point(towards);
  }

  emphasise(name) {
    this.emphasis = name;
    if (this.u) this.u.redraw(false);
  }

  /** Pixel position of a point, `up` units above it; single seeds are drawn right of their mean. */
  where(point, up = 0, canvas = false) {
    const aside = point.small ? 10 * (canvas ? uPlot.pxRatio : 1) : 0;
    return [this.u.valToPos(point.x, "x", canvas) + aside, this.u.valToPos(point.y + up, "y", canvas)];
  }

  draw() {
    const { ctx, bbox } = this.u, scale = uPlot.pxRatio;
    const at = (point, up = 0) => this.where(point, up, true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.lineJoin = "round";
    for (const each of this.series) {
      const faded = this.emphasis && each.curve && each.curve !== this.emphasis ? 0.13 : 1;
      const large = each.points.filter((point) => !point.small);
      ctx.strokeStyle = ctx.fillStyle = colour(each.colour);
      // The bands of many lines hide each other: then only the emphasised variant has one.
      const bands = this.series.length <= 6 || each.curve === this.emphasis;
      if (each.band && bands && large.some((point) => point.reach)) {
        ctx.globalAlpha = 0.1 * faded;
        ctx.beginPath();
        for (const point of large) ctx.lineTo(...at(point, point.reach));
        for (const point of [...large].reverse()) ctx.lineTo(...at(point, -point.reach));
        ctx.fill();
      }
      ctx.globalAlpha = faded;
      ctx.lineWidth = (each.width || 1.75) * scale;
      ctx.setLineDash((each.dash || []).map((length) => length * scale));
      ctx.beginPath();
      large.forEach((point, n) => {
        if (n && each.steps) ctx.lineTo(at(point)[0], at(large[n - 1])[1]);
        if (each.line) ctx.lineTo(...at(point));
      });
      ctx.stroke();
      ctx.setLineDash([]);
      if (!each.shape) continue;
      for (const point of each.points) {
        ctx.globalAlpha = faded * (point.small ? 0.6 : 1);
        if (point.reach && !each.band) bracket(ctx, at(point, point.reach), at(point, -point.reach), 4 * scale);
        ctx.beginPath();
        trace(ctx, each.shape, ...at(point), (point.small ? 2.6 : each.band ? 3.4 : 5.4) * scale);
        ctx.fill();
      }
    }
    if (this.current) {
      ctx.globalAlpha = 1;
      ctx.strokeStyle = colour("--ink");
      ctx.lineWidth = 2 * scale;
      ctx.beginPath();
      ctx.arc(...at(this.current), 9 * scale, 0, 2 * Math.PI);
      ctx.stroke();
    }
    ctx.restore();
  }

  /** Describe the mark nearest to the pointer, if it is close. */
  hover(left, top) {
    if (left < 0) {
      if (document.activeElement !== this.plot) this.point(null);
      return;
    }
    let best = null, least = 28 ** 2;
    for (const point of this.ordered) {
      const [x, y] = this.where(point);
      const away = (x - left) ** 2 + (y - top) ** 2;
      if (away < least) [best, least] = [point, away];
    }
    if (best !== this.current) this.point(best);
  }

  point(point) {
    this.current = point;
    this.tip.hidden = !point;
    this.u.over.style.cursor = point && this.onpick ? "pointer" : "crosshair";
    if (point) {
      const over = this.u.over, [x, y] = this.where(point), left = over.offsetLeft + x, top = over.offsetTop + y;
      this.tip.replaceChildren(h("b", {}, point.title), point.text);
      const { offsetWidth: width, offsetHeight: height } = this.tip;
      this.tip.style.left = `${Math.max(Math.min(left + 14, this.place.clientWidth - width - 4), 4)}px`;
      this.tip.style.top = `${top - height - 12 < 0 ? top + 16 : top - height - 12}px`;
      if (document.activeElement === this.plot) this.said.textContent = `${point.title}: ${point.text}`;
    }
    this.u.redraw(false);
  }

  key(event) {
    const along = { ArrowRight: 1, ArrowLeft: -1 }[event.key], upwards = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    const order = upwards ? [...this.ordered].sort((p, q) => p.y - q.y || p.x - q.x) : this.ordered;
    if ((along || upwards) && order.length) {
      const place = order.indexOf(this.current);
      this.point(order[place < 0 ? 0 : Math.min(Math.max(place + (along || upwards), 0), order.length - 1)]);
    } else if (event.key === "Enter" && this.current && this.onpick) this.onpick(this.current, event.shiftKey);
    else if (event.key === "+" || event.key === "=") this.zoom(0.6);
    else if (event.key === "-") this.zoom(1 / 0.6);
    else if (event.key === "0") this.reset();
    else if (event.key === "Escape") this.point(null);
    else return;
    event.preventDefault();
  }
}

function bracket(ctx, [x, top], [, bottom], half) {
  ctx.lineWidth = half * 0.35;
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, bottom);
  for (const y of [top, bottom]) {
    ctx.moveTo(x - half, y);
    ctx.lineTo(x + half, y);
  }
  ctx.stroke();
}

/** About `wanted` round numbers from least to most. */
function ticks(least, most, log, wanted, whole) {
  if (log && most / least > 6) {
    const digits = most / least > 10 ** (wanted / 2.2) ? [1] : most / least > 10 ** (wanted / 3.2) ? [1, 3] : [1, 2, 5];
    const found = [];
    for (let power = Math.floor(Math.log10(least)); power <= Math.log10(most); power++) {
      found.push(...digits.map((digit) => Number(`${digit}e${power}`)));
    }
    return found.filter((value) => value >= least && value <= most);
  }
  const rough = Math.max((most - least) / wanted, whole ? 1 : 0), size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * size).find((each) => each >= rough);
  const first = Math.ceil(least / step);
  return Array.from({ length: Math.max(Math.floor(most / step) - first + 1, 0) }, (_, n) => Number(((first + n) * step).toPrecision(12)));
}
