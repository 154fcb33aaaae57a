/** The recogniser in a thread of its own: sound in; levels, scores and detections out. */

import { SETTINGS_VERSION, StreamingRecogniser } from "./recogniser.js";

let recogniser = null;
let queue = Promise.resolve();

const refusal = (rule, received) =>
  new Error(`${rule}. Received: ${received}. Write the page again with \`kaggle-speech page\`.`);

async function read(url, name) {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) throw refusal(`${name} must lie beside the page`, response?.status ?? "no answer");
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

/** First sixteen hexadecimal digits of the SHA-256; null where the browser has none, as on pages that are not secure. */
async function fingerprint(bytes) {
  if (!globalThis.crypto?.subtle) return null;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parse(bytes) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw refusal("settings.json must be JSON", error.message);
  }
}

/** Load settings, model and runtime, check that they belong together, and answer with the settings. */
async function load(base, files) {
  const addressOf = (name) => files?.[name] ?? new URL(name, base).href;
  const settings = parse(await read(addressOf("settings.json"), "settings.json"));
  if (settings.version !== SETTINGS_VERSION) {
    throw refusal(`settings.json must be of version ${SETTINGS_VERSION}`, `version ${settings.version}`);
  }
  const [ort, wasm, model] = await Promise.all([
    import(addressOf(settings.runtime.script)).catch((error) => {
      throw refusal(`${settings.runtime.script} must load`, error.message);
    }),
    read(addressOf(settings.runtime.wasm), settings.runtime.wasm),
    read(addressOf("model.onnx"), "model.onnx"),
  ]);
  const received = await fingerprint(model);
  if (received !== null && received !== settings.model.fingerprint) {
    throw refusal(`model.onnx must be the one that settings.json names, ${settings.model.fingerprint}`, received);
  }
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: wasm });
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(model).catch((error) => {
    throw refusal("model.onnx must be an ONNX model", error.message);
  });
  const [input] = session.inputNames;
  const [output] = session.outputNames;
  const predict = async (waveform) => {
    const tensor = new ort.Tensor("float32", waveform, [1, waveform.length]);
    return (await session.run({ [input]: tensor }))[output].data;
  };
  const { clip_samples, vocabulary } = settings;
  const outputs = await predict(new Float32Array(clip_samples)).catch((error) => {
    throw refusal(`model.onnx must take ${clip_samples} samples`, error.message);
  });
  if (outputs.length !== vocabulary.length) {
    throw refusal(`model.onnx must have an output for each of ${vocabulary.length} labels`, outputs.length);
  }
  recogniser = new StreamingRecogniser(settings, predict);
  postMessage({ type: "ready", settings });
}

/** Process a chunk of a run, or its end, and answer with the state. */
async function process({ run, samples, numMissing, isLast }) {
  recogniser.numSkipped += numMissing;
  const detections = await recogniser.process(samples);
  if (isLast) detections.push(...(await recogniser.process(new Float32Array(recogniser.settings.finish_samples))));
  const { time, level, isActive, scores, numAsked } = recogniser;
  postMessage({ type: "state", run, numSamples: samples.length, isLast, detections, time, level, isActive, scores, numAsked });
}

const HANDLERS = {
  load: ({ base, files }) => load(base, files),
  reset: () => recogniser.reset(),
  sound: process,
};

onmessage = ({ data }) => {
  if (data.type === "threshold") {
    recogniser.trigger.threshold = data.value; // at once, not behind the chunks that wait
    return;
  }
  queue = queue.then(() => HANDLERS[data.type](data)).catch((error) => postMessage({ type: "error", message: error.message }));
};
