import assert from "node:assert/strict";
import test from "node:test";

import { Backlog, Resampler, powerSpectrum, toMono } from "../../kaggle_speech/web/static/signal.js";
import { csvOf } from "../../kaggle_speech/web/static/view.js";

const sine = (hz, rate, numSamples) =>
  Float32Array.from({ length: numSamples }, (_, index) => Math.sin((2 * Math.PI * hz * index) / rate));
const power = (waveform) => waveform.reduce((total, sample) => total + sample ** 2, 0) / waveform.length;

for (const rate of [8000, 16000, 22050, 44100, 48000, 96000]) {
  test(`a tone at ${rate} Hz is the same tone at 16 kHz`, () => {
    const resampler = new Resampler(rate, 16000);
    const output = resampler.convert(sine(1000, rate, rate));
    const delay = 1 + Math.ceil((resampler.radius * 16000) / rate);
    assert.ok(Math.abs(output.length - 16000) <= delay);
    const expected = sine(1000, 16000, output.length);
    // The first output is the sample before the first; the edges lack half of their neighbours.
    for (let index = 100; index < output.length; index++) assert.ok(Math.abs(output[index] - expected[index]) < 2e-3, index);
  });
}

test("what 16 kHz cannot hold is left out", () => {
  const output = new Resampler(48000, 16000).convert(sine(9500, 48000, 48000)).subarray(100);
  assert.ok(10 * Math.log10(power(output) / 0.5) < -50);
});

test("cuts change nothing in a resampled stream", () => {
  const waveform = sine(440, 44100, 44100);
  const whole = new Resampler(44100, 16000).convert(waveform);
  const resampler = new Resampler(44100, 16000);
  const parts = [];
  for (let start = 0; start < waveform.length; start += 777) parts.push(...resampler.convert(waveform.subarray(start, start + 777)));
  assert.equal(parts.length, whole.length);
  parts.forEach((sample, index) => assert.ok(Math.abs(sample - whole[index]) < 1e-6));
});

test("the power spectrum is that of the definition", () => {
  const frame = Float32Array.from({ length: 40 }, (_, index) => Math.sin(index * index));
  powerSpectrum(frame, 64).forEach((value, bin) => {
    const sum = (part) => frame.reduce((total, sample, index) => total + sample * part((2 * Math.PI * bin * index) / 64), 0);
    assert.ok(Math.abs(value - sum(Math.cos) ** 2 - sum(Math.sin) ** 2) < 1e-9);
  });
});

test("what is too much is dropped in one piece", () => {
  const backlog = new Backlog(100);
  const sent = Array.from({ length: 12 }, () => backlog.add(20));
  assert.deepEqual(sent, [0, 0, 0, 0, 0, ...new Array(7).fill(null)]); // five wait
  backlog.done(80);
  assert.equal(backlog.add(20), null); // there would be room, but one of the five still waits
  backlog.done(20);
  assert.deepEqual([backlog.add(20), backlog.add(20)], [160, 0]);
  assert.deepEqual([backlog.numDropped, backlog.numWaiting], [8, 40]);
  for (let index = 0; index < 9; index++) backlog.add(20);
  assert.equal(backlog.add(0, true), 120); // the end is never dropped
});

test("mono is the mean of the channels", () => {
  assert.deepEqual([...toMono([Float32Array.of(1, 0), Float32Array.of(0, 0.5)])], [0.5, 0.25]);
});

test("a CSV has a line for each detection, and quotes what it must", () => {
  const row = { clock: "2026-01-01T00:00:00.000", source: 'a "b", c.wav', time_s: 1.25, label: "yes", confidence: 0.93 };
  assert.equal(csvOf([row]), 'clock,source,time_s,label,confidence\n2026-01-01T00:00:00.000,"a ""b"", c.wav",1.25,yes,0.93\n');
  assert.equal(csvOf([]), "clock,source,time_s,label,confidence\n");
});
