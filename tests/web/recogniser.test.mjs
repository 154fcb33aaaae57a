import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";

import { LastSamples, StreamingRecogniser, levelDbfs, scoreLabels } from "../../kaggle_speech/web/static/recogniser.js";

const FOLDER = new URL("golden/", import.meta.url);
const golden = (name) => JSON.parse(readFileSync(new URL(name, FOLDER)));
const { settings } = golden("words.json");
const SILENCE = new Float32Array(settings.finish_samples);

/** A repeatable sequence of numbers from 0 to 1. */
function randomNumbers(seed) {
  return () => (seed = (seed * 16807) % 2147483647) / 2147483647;
}

/** A probability for each label, by how loud the last second is: words where it is, silence where not. */
async function loudness(waveform) {
  const power = waveform.reduce((total, sample) => total + sample * sample, 0) / waveform.length;
  const share = Math.min(0.96, 100 * power);
  return Float32Array.from(settings.vocabulary, (label) => (label === "yes" ? share : label === "silence" ? 1 - share : 0));
}

/** Pauses and tones of a second. */
function tones(numTones, seed = 1) {
  const random = randomNumbers(seed);
  return Float32Array.from({ length: numTones * 48000 }, (_, index) => {
    const isTone = index % 48000 > 16000 && index % 48000 < 26000;
    return (isTone ? 0.3 * Math.sin(0.2 * index) : 0) + 0.002 * (random() - 0.5);
  });
}

for (const name of readdirSync(FOLDER)) {
  test(`the detections of the golden stream ${name} are those of Python, to the hop`, () => {
    const stream = golden(name);
    const recogniser = new StreamingRecogniser(stream.settings, null);
    const detections = [];
    stream.hops.forEach(([level, probabilities], hop) => {
      recogniser.numProcessed += stream.settings.hop_samples;
      recogniser.judge(level);
      const detection = recogniser.report(recogniser.isActive ? Float32Array.from(probabilities) : stream.settings.quiet);
      if (detection) detections.push([hop, detection.label, detection.confidence]);
    });
    assert.deepEqual(detections.map((row) => row.slice(0, 2)), stream.detections.map((row) => row.slice(0, 2)));
    detections.forEach(([, , confidence], row) => assert.ok(Math.abs(confidence - stream.detections[row][2]) < 1e-9));
  });
}

test("cuts change nothing, and quiet costs nothing", async () => {
  const waveform = tones(6);
  const whole = new StreamingRecogniser(settings, loudness);
  const expected = [...(await whole.process(waveform)), ...(await whole.process(SILENCE))];
  assert.equal(expected.length, 6);
  assert.ok(whole.numAsked < 0.8 * (waveform.length / settings.hop_samples));
  const random = randomNumbers(2);
  const cut = new StreamingRecogniser(settings, loudness);
  const detections = [];
  for (let start = 0; start < waveform.length; ) {
    const end = start + Math.floor(5000 * random());
    detections.push(...(await cut.process(waveform.subarray(start, end))));
    start = Math.min(end, waveform.length);
  }
  assert.deepEqual([...detections, ...(await cut.process(SILENCE))], expected);
  assert.equal(cut.numAsked, whole.numAsked);
  cut.reset();
  assert.deepEqual(await cut.process(waveform), expected);
});

test("lost samples move the clock", async () => {
  const recogniser = new StreamingRecogniser(settings, loudness);
  recogniser.numSkipped += 16000;
  const [first] = await recogniser.process(tones(1));
  const [expected] = await new StreamingRecogniser(settings, loudness).process(tones(1));
  assert.ok(Math.abs(first.time_s - 1 - expected.time_s) < 1e-9);
});

test("a threshold holds from the next hop on", async () => {
  const recogniser = new StreamingRecogniser(settings, loudness);
  recogniser.trigger.threshold = 0.99;
  assert.deepEqual(await recogniser.process(tones(2)), []);
  recogniser.trigger.threshold = 0.5;
  assert.equal((await recogniser.process(tones(1))).length, 1);
});

test("the buffer keeps the last samples", () => {
  const random = randomNumbers(3);
  const buffer = new LastSamples(50);
  let all = new Array(50).fill(0);
  for (let number = 0; number < 200; number++) {
    const part = Float32Array.from({ length: Math.floor(120 * random()) }, random);
    buffer.append(part);
    all = [...all, ...part].slice(-50);
    for (const size of [1, 20, 50]) assert.deepEqual([...buffer.samples.slice(-size)], all.slice(-size));
  }
});

test("the level of a sine is three decibels below its peak", () => {
  const sine = Float32Array.from({ length: 16000 }, (_, index) => Math.sin(0.1 * Math.PI * index));
  assert.ok(Math.abs(levelDbfs(sine, -100) + 3.0103) < 1e-4);
  assert.equal(levelDbfs(new Float32Array(100), -100), -100);
  assert.equal(levelDbfs(new Float32Array(0), -100), -100);
});

test("labels are scored against those that are not reported", () => {
  const scores = scoreLabels([0.9, 0.01, 0.09], [true, true, false]);
  assert.deepEqual(scores.map((score) => Number(score.toFixed(2))), [0.76, 0.25, 0.24]);
  assert.deepEqual(scoreLabels([0.5, 0.5], [true, true]), [0.5, 0.5]);
});
