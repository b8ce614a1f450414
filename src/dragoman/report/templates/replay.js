// One clock for all runs: every run shows the same step of its own episode.
{
  const MOST_OPTIONS = 12;
  const FEW_OPTIONS = 6;
  const SHORT_TEXT = 14;
  const STRIP = { height: 40, values: [2, 20], zero: 30, rewards: 8 };
  const PLAY_MILLISECONDS = 250;
  const recordings = JSON.parse(document.getElementById("recordings").textContent);
  const byId = (id) => document.getElementById(id);
  const scrubber = byId("scrubber");
  let episode = 0;
  let step = 0;
  let timer = null;

  const format = (number) => {
    if (number === null || number === undefined) return "–";
    const size = Math.abs(number);
    if (Number.isInteger(number) && size < 1e6) return number.toLocaleString("en");
    return size >= 1e5 || (size > 0 && size < 1e-3) ? number.toExponential(2) : number.toFixed(3);
  };
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const colourOf = (index) => `var(--series-${index % 7})`;

  const columns = recordings.map((recording, index) => {
    const column = byId("run").content.firstElementChild.cloneNode(true);
    column.querySelector(".name").textContent = recording.name;
    column.querySelector(".kind").textContent = recording.kind;
    column.querySelector(".mark").style.background = colourOf(index);
    const note = column.querySelector(".note");
    note.textContent = recording.note;
    note.hidden = !recording.note;
    byId("runs").append(column);
    return column;
  });

  const episodeOf = (recording) => recording.episodes[Math.min(episode, recording.episodes.length - 1)];
  const lastStep = () => Math.max(...recordings.map((recording) => episodeOf(recording).steps.length - 1));

  function showFrame(stage, recording, frame, at) {
    if (frame === null) {
      stage.replaceChildren();
      stage.hidden = true;
      return;
    }
    const shown = recording.frames[frame];
    if (shown.startsWith("data:")) {
      let image = stage.querySelector("img");
      if (!image) stage.replaceChildren((image = element("img")));
      image.src = shown;
      image.alt = `State ${at} as the environment renders it`;
    } else {
      // Text frames were made into escaped HTML when the page was written.
      const text = element("pre");
      text.innerHTML = shown;
      stage.replaceChildren(text);
    }
  }

  function optionsOf(part, weighed, weighing) {
    // Many short texts stand side by side.
    const isMany = part.options.length > FEW_OPTIONS && part.options.every((text) => text.length <= SHORT_TEXT);
    const list = element("ol", isMany ? "options many" : "options");
    const weights = weighed.weights;
    const low = weighing === "probability" ? 0 : Math.min(...weights);
    const high = weighing === "probability" ? 1 : Math.max(...weights);
    let shown = weights.map((_, index) => index);
    if (shown.length > MOST_OPTIONS) {
      shown = shown.sort((a, b) => weights[b] - weights[a]).slice(0, MOST_OPTIONS);
      if (!shown.includes(weighed.chosen)) shown[MOST_OPTIONS - 1] = weighed.chosen;
    }
    for (const index of shown) {
      const item = element("li");
      const number = weighing === "probability" ? `${(100 * weights[index]).toFixed(1)} %` : format(weights[index]);
      const track = element("div", "track");
      const bar = element("div", "bar");
      bar.style.width = `${(100 * (weights[index] - low)) / (high - low || 1)}%`;
      track.append(bar);
      if (index === weighed.chosen) item.dataset.chosen = "";
      item.append(element("span", "text", part.options[index]), element("span", "number", number), track);
      if (index === weighed.chosen) item.append(element("span", "visually-hidden", "chosen"));
      list.append(item);
    }
    return list;
  }

  function rangeOf(part, weighed) {
    const list = element("ol", "options");
    const item = element("li");
    item.dataset.chosen = "";
    const low = part.low ?? weighed.mean - 3 * (weighed.spread || 1);
    const high = part.high ?? weighed.mean + 3 * (weighed.spread || 1);
    const place = (value) => Math.min(100, Math.max(0, (100 * (value - low)) / (high - low || 1)));
    const track = element("div", "track");
    const bar = element("div", "bar");
    bar.style.left = `${place(weighed.mean - weighed.spread)}%`;
    bar.style.right = `${100 - place(weighed.mean + weighed.spread)}%`;
    const tick = element("div", "tick");
    tick.style.left = `${place(weighed.chosen)}%`;
    track.append(bar, tick);
    item.append(
      element("span", "text", format(weighed.chosen)),
      element("span", "number", `${format(weighed.mean)} ± ${format(weighed.spread)} in ${format(low)} to ${format(high)}`),
      track,
    );
    list.append(item);
    return list;
  }

  function showWeighed(box, recording, state) {
    box.replaceChildren();
    state.weighed.forEach((weighed, index) => {
      const part = recording.parts[index];
      const kind = part.options.length ? recording.weighing : "mean ± spread";
      box.append(element("h3", "", `Action${part.name ? `, ${part.name}` : ""}: ${kind}`));
      box.append(part.options.length ? optionsOf(part, weighed, recording.weighing) : rangeOf(part, weighed));
    });
  }

  function showTerms(column, states, at) {
    const rows = {};
    states.slice(0, at + 1).forEach((state, index) => {
      for (const [name, value] of Object.entries(state.terms)) {
        rows[name] ??= { now: null, sum: 0 };
        rows[name].sum += value;
        if (index === at) rows[name].now = value;
      }
    });
    const body = column.querySelector(".rewards tbody");
    body.replaceChildren();
    for (const [name, { now, sum }] of Object.entries(rows)) {
      const row = element("tr");
      const head = element("th", "", name);
      head.scope = "row";
      if (name === byId("term").value) row.dataset.sought = "";
      row.append(head, element("td", "", format(now)), element("td", "", format(sum)));
      body.append(row);
    }
    column.querySelector(".rewards").hidden = !body.children.length;
  }

  // Rows without a name are read as text.
  function showReading(column, state) {
    const named = state.observation.filter(([name]) => name);
    const plain = state.observation.filter(([name]) => !name).map(([, value]) => value);
    const text = state.text ?? plain.join(" ");
    column.querySelector(".reads").textContent = state.text === null ? "The observation" : "What the model read";
    column.querySelector(".read").textContent = text;
    column.querySelector(".reading").hidden = !text;
    const rows = state.text === null ? named : state.observation;
    const numbers = column.querySelector(".numbers");
    numbers.hidden = !rows.length;
    if (state.text === null) numbers.open = true;
    numbers.querySelector("tbody").replaceChildren(
      ...rows.map(([name, value]) => {
        const row = element("tr");
        const head = element("th", "", name || "value");
        head.scope = "row";
        row.append(head, element("td", "", value));
        return row;
      }),
    );
  }

  // Above the slider: the value as a line and the rewards as bars, in the colour of each run.
  function drawStrip() {
    const last = lastStep() || 1;
    const strip = byId("strip");
    const part = (name, attributes) => {
      const made = document.createElementNS(strip.namespaceURI, name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      made.setAttribute("vector-effect", "non-scaling-stroke");
      return made;
    };
    const steps = recordings.flatMap((recording) => episodeOf(recording).steps);
    const values = steps.map((one) => one.value).filter((value) => value !== null);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const largest = Math.max(...steps.map((one) => Math.abs(one.reward)), 1e-12);
    const [top, bottom] = STRIP.values;
    const height = (value) => bottom - ((bottom - top) * (value - low)) / (high - low || 1);
    strip.setAttribute("viewBox", `0 0 ${last} ${STRIP.height}`);
    strip.replaceChildren(part("path", { class: "zero", d: `M0 ${STRIP.zero}H${last}` }));
    recordings.forEach((recording, index) => {
      const own = episodeOf(recording).steps;
      // Bars of different runs stand beside each other.
      const offset = (0.7 * (index + 0.5)) / recordings.length - 0.35;
      const bars = own.slice(0, -1).map((one, at) => [Math.min(Math.max(at + offset, 0), last), one.reward]);
      const drawn = bars.filter(([, reward]) => reward).map(([x, reward]) => `M${x} ${STRIP.zero}v${(-STRIP.rewards * reward) / largest}`);
      const line = own.flatMap((one, at) => (one.value === null ? [] : [`${at} ${height(one.value)}`]));
      const colour = `stroke: ${colourOf(index)}`;
      strip.append(part("path", { class: "reward-bars", style: colour, d: drawn.join("") || "M0 0" }));
      strip.append(part("path", { class: "value-line", style: colour, d: line.length ? `M${line.join("L")}` : "M0 0" }));
    });
    strip.append(part("path", { class: "cursor", id: "cursor", d: "M0 0" }));
  }

  function showRun(column, recording) {
    const played = episodeOf(recording);
    const end = played.steps.length - 1;
    const at = Math.min(step, end);
    const state = played.steps[at];
    const badge = column.querySelector(".state");
    const ending = played.ending === "cut" ? "recording stopped" : played.ending;
    badge.textContent = at === end ? `${ending} after ${end} steps` : `step ${at} of ${end}`;
    column.querySelector(".about").textContent = `${recording.about} · environment seed ${played.seed}`;
    badge.toggleAttribute("data-ended", at === end);
    showFrame(column.querySelector(".stage"), recording, state.frame, at);
    showReading(column, state);
    const whole = played.steps.reduce((sum, one) => sum + one.reward, 0);
    column.querySelector(".outcome").textContent = `Return ${format(whole)} in ${end} steps, ${ending}`;
    column.querySelector(".value").textContent = format(state.value);
    column.querySelector(".reward").textContent = at === end ? "–" : format(state.reward);
    const earned = played.steps.slice(0, at + 1).reduce((sum, one) => sum + one.reward, 0);
    column.querySelector(".return").textContent = format(earned);
    showWeighed(column.querySelector(".weighed"), recording, state);
    showTerms(column, played.steps, at);
    const said = column.querySelector(".said");
    said.hidden = !state.said;
    said.querySelector("p").textContent = state.said;
    const judge = column.querySelector(".judge");
    judge.hidden = !state.critiques.length;
    column.querySelector(".critiques").replaceChildren(...state.critiques.map((text) => element("li", "", text)));
  }

  function show() {
    const end = lastStep();
    scrubber.max = end;
    scrubber.value = step;
    scrubber.setAttribute("aria-valuetext", `Step ${step} of ${end}`);
    byId("position").textContent = `step ${step} of ${end}`;
    byId("cursor").setAttribute("d", `M${step} 0V${STRIP.height}`);
    columns.forEach((column, index) => showRun(column, recordings[index]));
  }

  function go(to) {
    step = Math.min(Math.max(to, 0), lastStep());
    show();
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    byId("play").textContent = "Play";
    byId("position").setAttribute("aria-live", "polite");
  }

  function toggle() {
    if (timer !== null) return pause();
    if (step === lastStep()) go(0);
    byId("play").textContent = "Pause";
    // A screen reader that announced four steps a second would be of no use.
    byId("position").setAttribute("aria-live", "off");
    timer = setInterval(() => {
      go(step + 1);
      if (step === lastStep()) pause();
    }, PLAY_MILLISECONDS);
  }

  function largest() {
    const name = byId("term").value;
    let best = { size: -1, at: 0 };
    for (const recording of recordings) {
      episodeOf(recording).steps.forEach((state, at) => {
        const size = Math.abs(state.terms[name] ?? -1);
        if (name in state.terms && size > best.size) best = { size, at };
      });
    }
    pause();
    go(best.at);
  }

  const names = new Set(recordings.flatMap((r) => r.episodes.flatMap((e) => e.steps.flatMap((s) => Object.keys(s.terms)))));
  byId("term").append(...[...names].map((name) => new Option(name, name)));
  byId("term-label").hidden = names.size < 2;
  const episodes = Math.max(...recordings.map((recording) => recording.episodes.length));
  byId("episode").append(...Array.from({ length: episodes }, (_, index) => new Option(`${index + 1} of ${episodes}`, index)));
  byId("episode-label").hidden = episodes < 2;

  const moves = { first: () => go(0), back: () => go(step - 1), forward: () => go(step + 1), last: () => go(lastStep()) };
  for (const [id, move] of Object.entries(moves)) {
    byId(id).addEventListener("click", () => {
      pause();
      move();
    });
  }
  byId("play").addEventListener("click", toggle);
  byId("largest").addEventListener("click", largest);
  byId("term").addEventListener("change", show);
  byId("episode").addEventListener("change", (event) => {
    pause();
    episode = Number(event.target.value);
    drawStrip();
    go(0);
  });
  scrubber.addEventListener("input", () => {
    pause();
    go(Number(scrubber.value));
  });

  const keys = { ArrowLeft: moves.back, ArrowRight: moves.forward, Home: moves.first, End: moves.last };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    if (event.key in keys) {
      event.preventDefault();
      pause();
      keys[event.key]();
    } else if (event.key === " " && !event.target.matches("button")) {
      event.preventDefault();
      toggle();
    } else if (event.key.toLowerCase() === "m") {
      largest();
    }
  });
  drawStrip();
  show();
}
