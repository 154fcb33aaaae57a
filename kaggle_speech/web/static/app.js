/** The page: choose a source, start and stop, show what the recogniser says. */

import { Backlog } from "./signal.js";
import { microphoneObstacle, microphones, openMicrophone, playFile } from "./sources.js";
import { Bars, Log, Strip, element, percent, setFraction, showDetection, showHint } from "./view.js";

/** Addresses of the files where they do not lie beside the page, as in a notebook. */
const files = globalThis.pageFiles ?? null;
const addressOf = (name) => files?.[name] ?? new URL(name, import.meta.url).href;

const worker = new Worker(addressOf("worker.js"), { type: "module" });
const log = new Log();
let [settings, bars, strip, threshold, backlog] = []; // once the worker has loaded

const chosenFiles = new Map(); // value of the drop-down list -> File
let source = null; // what runs: {name, stop}
let run = 0; // number of the last start or stop
let state = null; // last answer of the worker
let asked = []; // [milliseconds, evaluations so far]

function showMessage(text) {
  Object.assign(element("banner"), { textContent: text ?? "", hidden: !text });
}

function showStatus(text) {
  element("status").textContent = text;
  element("start").textContent = source ? "Stop" : "Start";
  for (const id of ["status", "start"]) element(id).classList.toggle("running", source !== null);
}

function show() {
  bars.show(state?.scores ?? settings.vocabulary.map(() => 0), threshold);
  strip.draw();
  const level = source && state ? state.level : settings.min_level_dbfs;
  const [[firstTime, numBefore], [lastTime, numAfter]] = source && asked.length > 1 ? [asked[0], asked.at(-1)] : [[0, 0], [1, 0]];
  element("level").textContent = `${Math.round(level)} dBFS`.replace("-", "\u2212");
  setFraction(element("level-bar"), 1 - level / settings.min_level_dbfs);
  element("rate").textContent = `${Math.round((1000 * (numAfter - numBefore)) / (lastTime - firstTime))} inferences/s`;
  const { numDropped } = backlog;
  element("dropped").textContent = numDropped ? `${numDropped} chunks dropped: this machine is too slow` : "";
  element("device").textContent = source?.name ?? "";
}

/** Offer the microphones and the files; the chosen one stays. */
async function listSources() {
  const list = element("source");
  const options = [...chosenFiles].map(([value, file]) => new Option(file.name, value));
  if (!microphoneObstacle()) {
    const named = (await microphones()).map(({ deviceId, label }) => new Option(label, deviceId));
    options.unshift(new Option("Default microphone", ""), ...named);
  } else if (!options.length) options.push(new Option("No microphone", ""));
  const chosen = options.find(({ value }) => value === list.value) ?? options[0];
  list.replaceChildren(...options);
  list.value = chosen.value;
}

/** Hand a chunk to the worker, unless that is too slow. */
function hear(samples, isLast = false) {
  const numMissing = backlog.add(samples.length, isLast);
  if (numMissing === null) return;
  worker.postMessage({ type: "sound", run, samples, numMissing, isLast });
  strip.append(samples, numMissing);
}

async function start() {
  const value = element("source").value;
  const file = chosenFiles.get(value);
  const ownRun = ++run;
  const isOwn = (act) => (...values) => ownRun === run && act(...values);
  worker.postMessage({ type: "reset" });
  strip.reset();
  backlog.reset();
  [state, asked] = [null, []];
  showMessage("");
  showStatus("Opening");
  element("start").disabled = true;
  try {
    const opened = file
      ? await playFile({ file, settings, onChunk: isOwn(hear), onEnd: isOwn(() => hear(new Float32Array(0), true)) })
      : await openMicrophone({ deviceId: value, settings, captureUrl: addressOf("capture.js"), onChunk: isOwn(hear), onEnd: isOwn((message) => end("Stopped", message)) });
    if (ownRun !== run) opened.stop(); // it has ended while it was being opened
    else {
      source = opened;
      showStatus(file ? "Playing" : "Listening");
      if (!log.rows.length) showHint("Say a command");
      draw();
    }
  } catch (error) {
    if (ownRun === run) end("Stopped", error.message);
  }
  element("start").disabled = false;
  listSources(); // after the first permission they have names
}

/** End the run, with words for the status bar and the banner. */
function end(status, message) {
  source?.stop();
  source = null;
  run += 1;
  if (message) showMessage(message);
  showStatus(status);
  show();
}

function draw(now = 0, lastDrawn = -Infinity) {
  if (!source) return;
  const isDue = now - lastDrawn >= settings.refresh_ms - 5;
  if (isDue) show();
  requestAnimationFrame((time) => draw(time, isDue ? now : lastDrawn));
}

async function playChosen(file) {
  if (!file || element("start").disabled) return;
  if (source) end("Stopped");
  const value = `file ${chosenFiles.size}`;
  chosenFiles.set(value, file);
  await listSources();
  element("source").value = value;
  start();
}

const HANDLERS = {
  ready(message) {
    settings = message.settings;
    [bars, strip, backlog] = [new Bars(settings), new Strip(settings), new Backlog(settings.max_waiting_samples)];
    const { min_threshold, max_threshold } = settings.trigger;
    threshold = settings.trigger.threshold;
    Object.assign(element("threshold"), { min: 100 * min_threshold, max: 100 * max_threshold, value: 100 * threshold, disabled: false });
    element("threshold-value").textContent = percent(threshold);
    element("model").textContent = settings.model.name;
    element("start").disabled = false;
    showHint("Press Start or the space bar, then say a command");
    showStatus("Ready");
    showMessage(microphoneObstacle());
    show();
  },
  state(message) {
    if (message.run !== run) return;
    state = message;
    backlog.done(message.numSamples);
    const now = performance.now();
    asked = [...asked.filter(([time]) => now - time < 1000), [now, message.numAsked]];
    for (const detection of message.detections) {
      showDetection(detection, settings.bright_ms);
      log.add(source?.name ?? "", detection);
      strip.detections = [...strip.detections.slice(-15), detection];
    }
    if (message.isLast) end("The file has ended");
  },
  error({ message }) {
    if (settings) return end("Stopped", `The recogniser failed: ${message}`);
    showHint("");
    showStatus("Not ready");
    showMessage(message);
  },
};

worker.onmessage = ({ data }) => HANDLERS[data.type](data);
worker.onerror = ({ message }) => HANDLERS.error({ message: `worker.js must load. Received: ${message ?? "no answer"}` });
worker.postMessage({ type: "load", base: document.baseURI, files });
showHint("Loading the recogniser");
listSources();

element("start").onclick = () => (source ? end("Stopped") : start());
element("open").onclick = () => element("file").click();
element("file").onchange = ({ target }) => {
  playChosen(target.files[0]);
  target.value = "";
};
element("source").onchange = () => {
  if (!source) return;
  end("Stopped");
  start();
};
element("threshold").oninput = ({ target }) => {
  threshold = target.value / 100;
  element("threshold-value").textContent = percent(threshold);
  worker.postMessage({ type: "threshold", value: threshold });
  show();
};
element("clear").onclick = () => log.clear();
element("save").onclick = () => log.save();
navigator.mediaDevices?.addEventListener?.("devicechange", listSources);

document.onkeydown = (event) => {
  if (event.key !== " " || event.target.closest("button, select, input")) return;
  event.preventDefault();
  if (!event.repeat) element("start").click();
};
document.ondragover = document.ondragleave = document.ondrop = (event) => {
  event.preventDefault();
  element("drop").hidden = event.type === "drop" || (event.type === "dragleave" && !event.relatedTarget);
  if (event.type === "drop") playChosen(event.dataTransfer.files[0]);
};
