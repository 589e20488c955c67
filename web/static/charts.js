// Charts, drawn by ECharts on a canvas: its SVG renderer writes style
// attributes, which our content security policy forbids. For the same reason
// tooltips are built as DOM nodes and not as HTML text. What is drawn comes from
// the server, as chart.go describes it.

const echarts = window.echarts;
const probe = document.createElement("i");
probe.hidden = true;
document.body.append(probe);
const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

/** The colour of a custom property in the theme that is shown. */
function colour(name, alpha = 100) {
  probe.style.color = alpha === 100 ? `var(${name})` : `color-mix(in srgb, var(${name}) ${alpha}%, transparent)`;
  // Through a canvas, because ECharts reads rgb() but not color().
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = getComputedStyle(probe).color;
  pen.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
  return `rgba(${r},${g},${b},${(a / 255).toFixed(3)})`;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const number = (v) => (v == null ? "–" : (Math.abs(v) < 10 ? fine : whole).format(v));
const share = (v) => `${fine.format(v)} %`;

function time(ms, long) {
  const iso = new Date(ms).toISOString();
  return long ? `${iso.slice(0, 10)} ${iso.slice(11, 16)}` : iso.slice(11, 16);
}

// A node and not HTML text: text would need style attributes to look right.
function tip(head, rows) {
  const make = (tag, text, name) => {
    const el = document.createElement(tag);
    el.textContent = text ?? "";
    if (name) el.className = name;
    return el;
  };
  const box = make("div", "", "tip");
  box.append(make("div", head, "tip-head"));
  for (const [name, value, hue] of rows) {
    const row = make("div");
    const key = make("i");
    key.style.background = hue ?? "transparent";
    row.append(key, make("span", name), make("b", value));
    box.append(row);
  }
  return box;
}

/** One chart in an element. */
export class Chart {
  constructor(element) {
    this.element = element;
    this.chart = echarts.init(element, null, { renderer: "canvas" });
    new ResizeObserver(() => this.chart.resize()).observe(element);
    document.addEventListener("theme", () => this.spec && this.draw(this.spec));
  }

  draw(spec) {
    this.spec = spec;
    this.element.dataset.drawn = spec ? spec.kind : "none";
    // Streams and bars of nothing have no axes to show: the words below say why.
    const bare = { flow: "links", bars: "names" }[spec?.kind];
    this.element.hidden = Boolean(bare && !spec[bare]?.length);
    if (!spec || this.element.hidden) return this.chart.clear();
    const make = { lines: this.lines, stacks: this.stacks, shares: this.stacks, heat: this.heat, flow: this.flow, bars: this.bars, plot: this.plot }[spec.kind];
    // Merging keeps a tooltip open while the numbers move; what changes its
    // shape is drawn anew.
    this.chart.setOption({ ...this.common(), ...make.call(this, spec) }, { notMerge: spec.kind !== "lines", lazyUpdate: true });
  }

  common() {
    const ink = colour("--ink-2");
    return {
      animation: false, // the numbers move by themselves; a line in motion shows what is not so
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12, color: ink },
      grid: { left: 4, right: 8, top: 10, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    };
  }

  tooltip(more) {
    return {
      confine: true, transitionDuration: 0, padding: [8, 12], borderWidth: 1,
      backgroundColor: colour("--surface"), borderColor: colour("--line"), textStyle: { color: colour("--ink"), fontSize: 13 }, ...more,
    };
  }

  overTime({ from, to, series }, some) {
    const ink = colour("--ink-2");
    const points = series?.[0]?.points ?? [];
    const days = to - from > 2 * 86400e3;
    return {
      xAxis: {
        type: "time", min: points[0]?.[0] ?? from, max: points.at(-1)?.[0] ?? to, splitNumber: 5,
        axisLine: { lineStyle: { color: colour("--line") } }, axisTick: { show: false },
        axisLabel: { color: ink, hideOverlap: true, formatter: (v) => (days ? time(v, true).slice(5, 10) : time(v)) },
        splitLine: { show: false },
      },
      yAxis: this.values(some),
    };
  }

  values(some, more) {
    return {
      type: "value", min: 0, max: some ? null : 1, splitNumber: 4, minInterval: 0,
      axisLabel: { color: colour("--ink-2"), formatter: number, show: some },
      splitLine: { show: some, lineStyle: { color: colour("--line"), opacity: 0.8 } }, ...more,
    };
  }

  stepTip(spec, format) {
    const span = !spec.step ? "" : spec.step < 3600 ? `${spec.step / 60} min` : `${spec.step / 3600} h`;
    return this.tooltip({
      trigger: "axis", axisPointer: { lineStyle: { color: colour("--ink-2"), type: "solid", opacity: 0.5 } },
      formatter: (points) => tip(`${time(points[0].value[0], true)} UTC${span && `, ${span}`}`, points.map((p) => [p.seriesName, format(p), p.color])),
    });
  }

  lines(spec) {
    const some = spec.series.some((s) => s.points?.some((p) => p[1]));
    return {
      ...this.overTime(spec, some),
      tooltip: this.stepTip(spec, (p) => `${number(p.value[1])} ${spec.unit}`),
      series: spec.series.map((s) => {
        const ink = colour(s.colour);
        return {
          name: s.name, type: "line", data: some ? s.points : [], showSymbol: false, symbol: "circle", symbolSize: 7, connectNulls: false,
          smooth: 0.15, smoothMonotone: "x", lineStyle: { color: ink, width: 2, type: s.dash ?? "solid" }, itemStyle: { color: ink },
          areaStyle: s.fill ? { color: colour(s.colour, s.fill) } : undefined, emphasis: { disabled: true },
        };
      }),
    };
  }

  // Stacked columns; of shares each is a part of its step's whole.
  stacks(spec) {
    const all = spec.series ?? [];
    const sums = new Map();
    for (const s of all) for (const [at, v] of s.points ?? []) sums.set(at, (sums.get(at) ?? 0) + v);
    const some = [...sums.values()].some((v) => v > 0);
    const shares = spec.kind === "shares";
    const points = (s) => s.points.map(([at, v]) => [at, shares ? (sums.get(at) ? (100 * v) / sums.get(at) : 0) : v, v]);
    const { xAxis, yAxis } = this.overTime(spec, some);
    const half = (spec.step * 1000) / 2;
    return {
      xAxis: { ...xAxis, min: (xAxis.min ?? spec.from) - half, max: (xAxis.max ?? spec.to) + half },
      yAxis: { ...yAxis, ...(shares ? { max: 100, interval: 25, axisLabel: { ...yAxis.axisLabel, formatter: (v) => `${v} %` } } : {}) },
      tooltip: { ...this.stepTip(spec, (p) => (shares ? `${share(p.value[1])}, ${number(p.value[2])}` : `${number(p.value[1])} ${spec.unit}`)), axisPointer: { type: "shadow", shadowStyle: { color: colour("--ink-2", 12) } } },
      series: all.map((s) => ({
        name: s.name, type: "bar", stack: "all", barCategoryGap: "18%", barMaxWidth: 28, data: some ? points(s) : [],
        itemStyle: { color: colour(s.colour), borderColor: colour("--surface"), borderWidth: 0.5 }, emphasis: { disabled: true },
      })),
    };
  }

  heat(spec) {
    const times = [...new Set(spec.cells?.map((c) => c[0]) ?? [])];
    const most = Math.max(1, ...(spec.cells ?? []).map((c) => c[2]));
    const steps = [];
    for (let at = Math.ceil(spec.from / (spec.step * 1000)) * spec.step * 1000; at <= spec.to; at += spec.step * 1000) steps.push(at);
    const place = new Map((steps.length ? steps : times).map((at, i) => [at, i]));
    const days = spec.to - spec.from > 2 * 86400e3;
    const ink = colour("--ink-2");
    const quiet = { axisLine: { show: false }, axisTick: { show: false }, splitArea: { show: false } };
    return {
      grid: { left: 4, right: 8, top: 4, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
      xAxis: { type: "category", data: steps, ...quiet, axisLabel: { color: ink, hideOverlap: true, formatter: (v) => (days ? time(+v, true).slice(5, 10) : time(+v)) } },
      yAxis: { type: "category", data: spec.names, ...quiet, axisLabel: { color: ink } },
      visualMap: { show: false, min: 0, max: Math.log1p(most), dimension: 3, inRange: { color: [colour("--sunk"), colour("--accent-3"), colour("--accent"), colour("--heat")] } },
      tooltip: this.tooltip({ formatter: (p) => tip(`${time(steps[p.value[0]], true)} UTC`, [[spec.names[p.value[1]], `${number(p.value[2])} ${spec.unit}`, p.color]]) }),
      series: [{
        type: "heatmap", progressive: 0, encode: { x: 0, y: 1 }, emphasis: { itemStyle: { borderColor: colour("--ink"), borderWidth: 1 } },
        itemStyle: { borderColor: colour("--surface"), borderWidth: 1 },
        data: (spec.cells ?? []).filter((c) => place.has(c[0])).map(([at, y, v]) => [place.get(at), y, v, Math.log1p(v)]),
      }],
    };
  }

  flow(spec) {
    const label = new Map((spec.nodes ?? []).map((n) => [n.name, n.label]));
    const narrow = this.chart.getWidth() < 560;
    return {
      tooltip: this.tooltip({
        trigger: "item",
        formatter: (p) => (p.dataType === "edge"
          ? tip(`${label.get(p.data.source)} to ${label.get(p.data.target)}`, [[spec.unit, number(p.data.value)]])
          : tip(label.get(p.name), [[spec.unit, number(p.value)]])),
      }),
      series: [{
        type: "sankey", left: 2, right: narrow ? 84 : 120, top: 8, bottom: 8, nodeWidth: 12, nodeGap: 14, draggable: false, layoutIterations: 48,
        data: (spec.nodes ?? []).map((n) => ({
          name: n.name, depth: n.depth, itemStyle: { color: colour(n.colour), borderWidth: 0 },
          label: { formatter: n.label, color: colour("--ink"), fontSize: narrow ? 11 : 13 },
        })),
        links: spec.links ?? [], lineStyle: { color: "source", opacity: 0.26, curveness: 0.5 },
        emphasis: { focus: "adjacency", lineStyle: { opacity: 0.5 } }, labelLayout: { hideOverlap: true },
      }],
    };
  }

  // Lying bars, stacked, one for each name.
  bars(spec) {
    const some = spec.series?.some((s) => s.values?.some((v) => v));
    return {
      xAxis: this.values(some),
      yAxis: {
        type: "category", data: spec.names ?? [], inverse: true, axisTick: { show: false }, axisLine: { show: false },
        axisLabel: { color: colour("--ink"), fontSize: 13 },
      },
      tooltip: this.tooltip({
        trigger: "axis", axisPointer: { type: "shadow", shadowStyle: { color: colour("--ink-2", 12) } },
        formatter: (points) => tip(points[0].name, points.map((p) => [p.seriesName, `${number(p.value)} ${spec.unit}`, p.color])),
      }),
      series: (spec.series ?? []).map((s) => ({
        name: s.name, type: "bar", stack: "all", barMaxWidth: 22, data: some ? s.values : [],
        itemStyle: { color: colour(s.colour), borderColor: colour("--surface"), borderWidth: 0.5 }, emphasis: { disabled: true },
      })),
    };
  }
}
