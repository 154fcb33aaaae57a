/** The worker with a runtime of a few lines in the place of onnxruntime-web. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";
import { gzipSync } from "node:zlib";

const golden = JSON.parse(readFileSync(new URL("golden/words.json", import.meta.url)));
const MODEL = Buffer.from("a model");
const RUNTIME = `
export const env = { wasm: {} };
export class Tensor { constructor(type, data, shape) { Object.assign(this, { type, data, shape }); } }
export const InferenceSession = {
  async create(model) {
    if (new TextDecoder().decode(model) === "no model") throw new Error("protobuf parsing failed");
    const run = async ({ waveform }) => {
      if (waveform.data.length !== globalThis.numSamples) throw new Error("invalid dimensions");
      return { probabilities: { data: new Float32Array(globalThis.numOutputs) } };
    };
    return { inputNames: ["waveform"], outputNames: ["probabilities"], run };
  },
};
`;

const dataUrl = (content, type = "application/octet-stream") => `data:${type};base64,${Buffer.from(content).toString("base64")}`;
const fingerprint = (content) => createHash("sha256").update(content).digest("hex").slice(0, 16);

let answer;
globalThis.onmessage = null;
globalThis.postMessage = (message) => answer(message);
await import("../../kaggle_speech/web/static/worker.js");

/** The worker's answer to a message. */
function ask(message) {
  return new Promise((resolve) => {
    answer = resolve;
    globalThis.onmessage({ data: message });
  });
}

function load({ changes = {}, model = MODEL, numSamples = 16000, numOutputs = 12, files = {} } = {}) {
  Object.assign(globalThis, { numSamples, numOutputs });
  const settings = {
    ...golden.settings,
    model: { name: "golden", fingerprint: fingerprint(model) },
    runtime: { script: "ort.js", wasm: "ort.wasm" },
    ...changes,
  };
  const all = {
    "settings.json": dataUrl(JSON.stringify(settings)),
    "model.onnx": dataUrl(model),
    "ort.js": dataUrl(RUNTIME, "text/javascript"),
    "ort.wasm": dataUrl(gzipSync("compressed, as in a notebook")),
    ...files,
  };
  return ask({ type: "load", base: "http://localhost/page/", files: all });
}

test("it answers with the settings when all is there", async () => {
  const { type, settings } = await load();
  assert.equal(type, "ready");
  assert.deepEqual(settings.vocabulary, golden.settings.vocabulary);
});

const REFUSED = {
  "settings of another version": [{ changes: { version: 99 } }, /settings.json must be of version 1. Received: version 99. Write the page again/],
  "the model of other settings": [
    { changes: { model: { name: "other", fingerprint: "0123456789abcdef" } } },
    /model.onnx must be the one that settings.json names, 0123456789abcdef. Received: [0-9a-f]{16}. Write/,
  ],
  "a model of other labels": [{ numOutputs: 31 }, /model.onnx must have an output for each of 12 labels. Received: 31/],
  "a model of another length": [{ numSamples: 8000 }, /model.onnx must take 16000 samples. Received: invalid dimensions/],
  "a file that is no model": [{ model: Buffer.from("no model") }, /model.onnx must be an ONNX model. Received: protobuf/],
  "a missing file": [{ files: { "model.onnx": "data:nothing" } }, /model.onnx must lie beside the page. Received: no answer/],
  "settings that are no JSON": [{ files: { "settings.json": dataUrl("<html>") } }, /settings.json must be JSON. Received: .*Write the page again/],
};
for (const [what, [options, message]] of Object.entries(REFUSED)) {
  test(`${what}: it says what is wrong and what to do`, async () => {
    const received = await load(options);
    assert.equal(received.type, "error");
    assert.match(received.message, message);
  });
}

test("sound is answered with the state, lost samples move the clock, and the end says so", async () => {
  await load();
  const sound = { type: "sound", run: 7, samples: new Float32Array(1600), numMissing: 0, isLast: false };
  const state = await ask(sound);
  assert.deepEqual([state.run, state.numSamples, state.time, state.level, state.isLast], [7, 1600, 0.1, -100, false]);
  assert.equal(state.scores.length, 12);
  assert.equal((await ask({ ...sound, numMissing: 16000 })).time, 1.2);
  const last = await ask({ ...sound, samples: new Float32Array(0), isLast: true });
  assert.deepEqual([last.isLast, last.time], [true, 1.7]);
});
