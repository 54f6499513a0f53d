"use strict";
/* Plays the videos of one action on a common clock.
 *
 * The position x is in [0, 1]. Synchronised: x is prototype time, and each video shows T^theta(x). Original: x is the
 * share of the longest video's duration, and each video shows its own second. Per action the data hold the prototype's
 * duration and phases; per video `index`, the frame of the file at each prototype point, `position`, the prototype time
 * at evenly spaced frames of the file, and its clock: seconds since the first frame (`fps`, or `times` where frames are
 * unevenly spaced). The player's own time is `start` more, as a file may begin late.
 */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const SPEEDS = [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2];
  const state = { action: null, x: 0, mode: "synced", playing: false, speed: 1 };
  let cards = [];

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  /** Linear interpolation in an array of evenly spaced values over [0, 1]. */
  function sample(values, x) {
    const at = clamp(x, 0, 1) * (values.length - 1);
    const low = Math.min(Math.floor(at), values.length - 2);
    return low < 0 ? values[0] : values[low] + (at - low) * (values[low + 1] - values[low]);
  }

  /** Rounds as Python does, halves to the even number, so that page and tables name the same frame. */
  function roundEven(value) {
    const floor = Math.floor(value);
    const rest = value - floor;
    if (Math.abs(rest - 0.5) < 1e-9) return floor % 2 ? floor + 1 : floor;
    return Math.round(value);
  }

  /** Seconds since the first frame at which a frame begins. */
  function begin(video, frame) {
    if (!video.times) return frame / video.fps;
    const last = video.times.length - 1;
    return frame <= last ? video.times[frame] : video.times[last] + (frame - last) / video.fps;
  }

  function secondsAt(video, frame) {
    const low = Math.floor(frame);
    return begin(video, low) + (frame - low) * (begin(video, low + 1) - begin(video, low));
  }

  function frameAt(video, seconds) {
    if (!video.times) return clamp(seconds * video.fps, 0, video.last);
    let low = 0, high = video.times.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (video.times[middle] <= seconds) low = middle; else high = middle;
    }
    const span = video.times[high] - video.times[low] || 1;
    return clamp(low + (seconds - video.times[low]) / span, 0, video.last);
  }

  const duration = () => (state.mode === "synced" ? state.action.duration : state.action.longest);

  /** The (fractional) frame of its file that a video shows at x. */
  function wantedFrame(video, x) {
    if (state.mode === "synced") return sample(video.index, x);
    return frameAt(video, x * state.action.longest);
  }

  function phaseAt(x) {
    return state.action.phases.find((p) => x >= p.start && x < p.end) || state.action.phases.find((p) => x === p.end);
  }

  /* -- seeking ------------------------------------------------------------------------------------------------ */

  /** Shows exactly one frame: a time in the middle of it is safe from rounding in the decoder. */
  function seekTo(card, frame) {
    const shown = clamp(roundEven(frame), 0, card.video.last);
    card.shown = shown;
    request(card, card.video.start + (begin(card.video, shown) + begin(card.video, shown + 1)) / 2);
  }

  /** One seek at a time per video; of those asked for meanwhile only the last is done. */
  function request(card, seconds) {
    card.want = seconds;
    if (card.seeking || card.element.readyState < 1) return;
    if (Math.abs(card.element.currentTime - seconds) < 1e-4) { card.want = null; return; }
    card.seeking = true;
    card.want = null;
    card.tries = 5;
    card.element.currentTime = seconds;
  }

  function arrived(card) {
    card.seeking = false;
    if (card.want !== null) request(card, card.want);
    else checkPainted(card);
  }

  /** A busy browser may seek but go on showing the old frame; seeking again, within the frame, has it painted. */
  function checkPainted(card) {
    clearTimeout(card.check);
    card.check = null;
    if (!card.element.requestVideoFrameCallback || isPainted(card) || card.tries === 0) return;
    card.check = setTimeout(() => {
      card.check = null;
      if (state.playing || card.seeking) return;
      card.tries -= 1;
      card.seeking = true;
      card.element.currentTime += card.tries % 2 ? 1e-3 : -1e-3;
    }, 150);
  }

  function isPainted({ video, shown, painted }) {
    const half = (begin(video, shown + 1) - begin(video, shown)) / 2;
    return painted !== null && Math.abs(painted - video.start - begin(video, shown)) < half;
  }

  function watchPainted(card) {
    const watch = (now, frame) => {
      card.painted = frame.mediaTime;
      if (card.check !== null) checkPainted(card);
      card.element.requestVideoFrameCallback(watch);
    };
    if (card.element.requestVideoFrameCallback) card.element.requestVideoFrameCallback(watch);
  }

  const settled = () => cards.every((c) => c.failed || (!c.seeking && c.want === null && c.check === null && c.element.readyState >= 2 && !c.element.seeking));

  /* -- playing ------------------------------------------------------------------------------------------------ */

  let lastTick = null;

  function tick(now) {
    if (!state.playing) { lastTick = null; return; }
    const passed = lastTick === null ? 0 : Math.min((now - lastTick) / 1000, 0.1);
    lastTick = now;
    state.x += (passed * state.speed) / duration();
    if (state.x >= 1) { state.x = 0; cards.forEach((card) => seekTo(card, wantedFrame(card.video, 0))); }
    cards.forEach(follow);
    draw();
    requestAnimationFrame(tick);
  }

  /** Lets a video run at the slope of its warp, a little faster or slower to stay in step; jumps if it is far off. */
  function follow(card) {
    const { video, element } = card;
    if (card.failed || element.readyState < 2 || card.seeking) return;
    const ahead = 0.04;
    const want = secondsAt(video, wantedFrame(video, state.x));
    const next = secondsAt(video, wantedFrame(video, Math.min(state.x + (ahead * state.speed) / duration(), 1)));
    const slope = (next - want) / ahead;
    const error = video.start + want - element.currentTime;
    card.shown = Math.round(wantedFrame(video, state.x));
    if (Math.abs(error) > 0.3) { request(card, video.start + want); return; }
    const rate = slope + 3 * error;
    if (rate < 0.0625) { if (!element.paused) element.pause(); return; }
    element.playbackRate = clamp(rate, 0.0625, 8);
    if (element.paused) element.play().catch(() => {});
  }

  function play(playing) {
    state.playing = playing;
    byId("play").dataset.playing = playing;
    byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    if (playing) { if (state.x >= 1) state.x = 0; requestAnimationFrame(tick); return; }
    cards.forEach((card) => card.element.pause());
    show(state.x);
  }

  /** Goes to a position; exact while paused. */
  function show(x) {
    state.x = clamp(x, 0, 1);
    cards.forEach((card) => seekTo(card, wantedFrame(card.video, state.x)));
    draw();
    if (!state.playing) remember();
  }

  function step(points) {
    play(false);
    const last = state.action.length - 1;
    show((Math.round(state.x * last) + points) / last);
  }

  /* -- drawing ------------------------------------------------------------------------------------------------ */

  function draw() {
    const { x, mode, action } = state;
    const synced = mode === "synced";
    const percent = `${100 * x}%`;
    byId("head").style.left = percent;
    byId("played").style.width = percent;
    byId("seconds").textContent = `${(x * duration()).toFixed(2)} s`;
    byId("clock").textContent = synced ? x.toFixed(3) : "";
    const phase = synced ? phaseAt(x) : null;
    byId("chip").hidden = action.phases.length === 0;
    byId("chip").style.background = phase ? phase.color : "var(--line)";
    byId("phase-name").textContent = phase ? phase.name : synced ? "" : "each at its own pace";
    byId("track").setAttribute("aria-valuenow", x.toFixed(3));
    byId("track").setAttribute("aria-valuetext", phase ? `${x.toFixed(3)}, ${phase.name}` : x.toFixed(3));
    cards.forEach((card) => drawCard(card, x, synced, action));
  }

  function drawCard(card, x, synced, action) {
    const { video } = card;
    const frame = wantedFrame(video, x);
    const own = synced ? x : sample(video.position, frame / video.last);
    const missing = synced && (x < video.shows[0] - 1e-6 || x > video.shows[1] + 1e-6);
    const idle = !synced && (frame <= video.acts[0] - 1 || frame >= video.acts[1] + 1);
    const phase = missing || idle ? null : phaseAt(own);
    card.stripe.style.background = phase ? phase.color : "";
    card.at.textContent = `${begin(video, clamp(roundEven(frame), 0, video.last)).toFixed(2)} s`;
    card.root.classList.toggle("over", missing || (!synced && x * action.longest > video.duration + 1 / video.fps));
    const px = 100 * own, py = 100 - (100 * frame) / video.last;
    card.marker.setAttribute("cx", px);
    card.marker.setAttribute("cy", py);
    card.guide.setAttribute("d", `M${px} 100V${py}H0`);
  }

  /* -- building ----------------------------------------------------------------------------------------------- */

  function make(tag, className, parent, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  }

  function svg(tag, attributes, parent) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    parent.append(element);
    return element;
  }

  function makeCurve(video, parent, action) {
    const curve = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    curve.setAttribute("class", "curve");
    curve.setAttribute("viewBox", "-4 -4 108 108");
    parent.append(curve);
    svg("title", {}, curve).textContent = "prototype time to the right, the video's own time upwards";
    action.phases.forEach((p) => svg("rect", {
      x: 100 * p.start, y: 96, width: 100 * (p.end - p.start), height: 4, fill: p.color }, curve));
    svg("path", { class: "diagonal", d: "M0 100L100 0" }, curve);
    const guide = svg("path", { class: "guide", d: "", fill: "none" }, curve);
    const last = video.index.length - 1;
    const points = video.index.map((f, j) => `${(100 * j) / last} ${100 - (100 * f) / video.last}`);
    svg("path", { class: "warp", d: `M${points.join("L")}` }, curve);
    const marker = svg("circle", { class: "marker", r: 4.5 }, curve);
    curve.addEventListener("click", (event) => {
      const box = curve.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * 108 - 4;
      setMode("synced");
      show(at / 100);
    });
    return { marker, guide };
  }

  function makeCard(video, action) {
    const root = make("article", "card", byId("grid"));
    const screen = make("div", "screen", root);
    screen.style.aspectRatio = `${video.width} / ${video.height}`;
    const element = make("video", "", screen);
    Object.assign(element, { muted: true, playsInline: true, preload: "auto", src: video.src });
    element.setAttribute("aria-label", video.id);
    const stripe = make("div", "stripe", root);
    const info = make("div", "info", root);
    make("div", "name", info, video.id).title = video.id;
    const words = make("div", "words", info);
    make("div", "split", words, video.split);
    const at = make("div", "at", words);
    const card = { root, video, element, stripe, at, seeking: false, want: null, tries: 0, check: null, painted: null, failed: false, ...makeCurve(video, info, action) };
    watchPainted(card);
    element.addEventListener("seeked", () => arrived(card));
    element.addEventListener("loadeddata", () => { if (card.want !== null) request(card, card.want); });
    element.addEventListener("error", () => { card.failed = true; root.classList.add("broken"); });
    element.addEventListener("click", () => play(!state.playing));
    return card;
  }

  /** Makes the cards as large as lets all of them be seen at once, or small enough to scroll through. */
  function arrange() {
    const grid = byId("grid"), style = getComputedStyle(grid), gap = 16, below = 114, smallest = 170, count = cards.length;
    const width = grid.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const height = grid.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    const shape = Math.max(...cards.map((card) => card.video.height / card.video.width));
    const fitting = (columns) => {
      const room = ((height + gap) / Math.ceil(count / columns) - gap - below) / shape;
      return Math.min((width + gap) / columns - gap, room, 520);
    };
    let columns = 1;
    for (let c = 2; c <= count; c += 1) if (fitting(c) > fitting(columns)) columns = c;
    let card = fitting(columns);
    if (card < smallest) {
      columns = Math.max(1, Math.floor((width + gap) / (smallest + gap)));
      card = (width + gap) / columns - gap;
    }
    columns = Math.ceil(count / Math.ceil(count / columns));
    grid.style.setProperty("--columns", columns);
    grid.style.setProperty("--card", `${Math.floor(card)}px`);
  }

  function release(card) {
    card.element.pause();
    card.element.removeAttribute("src");
    card.element.load();
  }

  function setAction(name) {
    const action = data.actions.find((a) => a.name === name) || data.actions[0];
    if (state.action === action) return;
    if (state.playing) play(false);
    cards.forEach(release);
    state.action = action;
    byId("grid").replaceChildren();
    cards = action.videos.map((video) => makeCard(video, action));
    byId("title").textContent = action.title;
    [...byId("actions").children].forEach((b) => b.setAttribute("aria-current", b.dataset.name === action.name));
    byId("segments").replaceChildren();
    action.phases.forEach((p) => {
      const segment = make("div", "segment", byId("segments"), p.name);
      Object.assign(segment.style, { left: `${100 * p.start}%`, width: `${100 * (p.end - p.start)}%`, background: p.color });
      segment.title = `${p.label + 1}: ${p.name}`;
    });
    arrange();
  }

  function setMode(mode) {
    state.mode = mode;
    document.body.dataset.mode = mode;
    byId("show-synced").setAttribute("aria-pressed", mode === "synced");
    byId("show-original").setAttribute("aria-pressed", mode === "original");
  }

  function setSpeed(speed) {
    state.speed = speed;
    byId("speed").value = String(speed);
  }

  /* -- the address: #action=NAME&t=0.37&mode=original ---------------------------------------------------------- */

  let writing = null;

  function address() {
    const parts = new URLSearchParams({ action: state.action.name, t: state.x.toFixed(4) });
    if (state.mode !== "synced") parts.set("mode", state.mode);
    return `#${parts}`;
  }

  function remember() {
    if (writing !== null) return;
    // Browsers refuse more than about a hundred changes in half a minute.
    writing = setTimeout(() => { writing = null; history.replaceState(null, "", address()); }, 400);
  }

  function readAddress(hash) {
    const parts = new URLSearchParams(hash.slice(1));
    setAction(parts.get("action"));
    setMode(parts.get("mode") === "original" ? "original" : "synced");
    const t = Number.parseFloat(parts.get("t"));
    show(Number.isFinite(t) ? t : 0);
  }

  /* -- hands -------------------------------------------------------------------------------------------------- */

  function jump(index) {
    const phase = state.action.phases[index];
    if (!phase) return;
    play(false);
    setMode("synced");
    // The first prototype point inside the phase: its border lies between two points.
    const last = state.action.length - 1;
    show(Math.ceil(phase.start * last - 1e-9) / last);
  }

  function otherAction(by) {
    const index = data.actions.indexOf(state.action) + by;
    if (data.actions[index]) { setAction(data.actions[index].name); show(0); }
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open || event.target.tagName === "SELECT") return;
    const far = event.shiftKey ? 10 : 1;
    const change = (by) => setSpeed(SPEEDS[clamp(SPEEDS.indexOf(state.speed) + by, 0, SPEEDS.length - 1)]);
    const keys = {
      " ": () => play(!state.playing), ArrowRight: () => step(far), ArrowLeft: () => step(-far),
      Home: () => show(0), End: () => show(1), "[": () => change(-1), "]": () => change(1),
      s: () => { setMode("synced"); show(state.x); }, o: () => { setMode("original"); show(state.x); },
      ",": () => otherAction(-1), ".": () => otherAction(1), "?": () => byId("help").showModal(),
    };
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // A phase may come in several stretches; its key goes to the first.
    if (/^[1-9]$/.test(pressed)) jump(state.action.phases.findIndex((p) => p.label === Number(pressed) - 1));
    else if (keys[pressed]) keys[pressed]();
    else return;
    event.preventDefault();
  }

  function scrub(event) {
    const box = byId("track").getBoundingClientRect();
    show((event.clientX - box.left) / box.width);
  }

  function connect() {
    const track = byId("track");
    let down = null;
    track.addEventListener("pointerdown", (event) => {
      track.setPointerCapture(event.pointerId);
      down = event.clientX;
      scrub(event);
    });
    track.addEventListener("pointermove", (event) => { if (down !== null) scrub(event); });
    track.addEventListener("pointerup", (event) => {
      const clicked = down !== null && Math.abs(event.clientX - down) < 3 && event.target.closest(".track");
      down = null;
      if (!clicked || state.mode !== "synced" || event.shiftKey) return;
      const box = track.getBoundingClientRect();
      const at = (event.clientX - box.left) / box.width;
      // A click on a phase's name goes to where it begins; on its bar below, or dragging, to the very place.
      const index = state.action.phases.findIndex((p) => at >= p.start && at < p.end);
      if (index >= 0 && event.clientY - box.top < box.height / 2) jump(index);
    });
    byId("play").addEventListener("click", () => play(!state.playing));
    byId("show-synced").addEventListener("click", () => { setMode("synced"); show(state.x); });
    byId("show-original").addEventListener("click", () => { setMode("original"); show(state.x); });
    byId("help-button").addEventListener("click", () => byId("help").showModal());
    SPEEDS.forEach((s) => { make("option", "", byId("speed"), `${s}×`).value = String(s); });
    byId("speed").addEventListener("change", () => setSpeed(Number(byId("speed").value)));
    document.addEventListener("keydown", key);
    // The new address as it was asked for: the page may have written its own over it since.
    window.addEventListener("hashchange", (event) => readAddress(new URL(event.newURL).hash));
    window.addEventListener("resize", arrange);
    data.actions.forEach((action) => {
      const button = make("button", "", byId("actions"), action.title);
      button.dataset.name = action.name;
      button.addEventListener("click", () => { setAction(action.name); show(0); });
    });
    byId("actions").hidden = data.actions.length < 2;
    byId("note").textContent = data.note;
  }

  connect();
  setSpeed(1);
  readAddress(location.hash);

  /** For tests and for scripts: where the page is, and when every video shows its frame. */
  window.tplView = {
    state, show, play, setMode, setAction, settled,
    frames: () => Object.fromEntries(cards.map((card) => [card.video.id, card.shown])),
  };
})();
