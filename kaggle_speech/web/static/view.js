/** What the page shows: word, bars, log, last three seconds, figures. */

import { LastSamples } from "./recogniser.js";
import { Spectrogram } from "./signal.js";

const MAX_SHOWN_ROWS = 200; // the CSV has all
const MARGIN = 54; // pixels left of the picture, for the frequencies
const CSV_COLUMNS = ["clock", "source", "time_s", "label", "confidence"];

export const element = (id) => document.getElementById(id);
export const percent = (fraction) => `${Math.round(100 * fraction)} %`;

const make = (name, className, ...children) => {
  const made = Object.assign(document.createElement(name), { className });
  made.append(...children);
  return made;
};
export const setFraction = (bar, fraction) => bar.style.setProperty("--fraction", Math.min(1, Math.max(0, fraction)));

/** Rows of the log as a CSV, the oldest first. */
export function csvOf(rows) {
  const quoted = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  return [CSV_COLUMNS, ...rows.map((row) => CSV_COLUMNS.map((column) => quoted(row[column])))].join("\n") + "\n";
}

export const showHint = (text) => (element("hint").textContent = text);

let dimming;

/** The last detection in large letters, bright for some milliseconds. */
export function showDetection({ label, confidence, time_s }, brightMs) {
  const word = element("word");
  word.textContent = label;
  word.classList.add("bright");
  showHint(`${percent(confidence)} sure when heard, at ${time_s.toFixed(1)} s`);
  setFraction(element("sure"), confidence);
  element("announcement").textContent = `${label}, ${percent(confidence)}`;
  element("heard").classList.remove("glow");
  void element("heard").offsetWidth; // so that the animation begins again
  element("heard").classList.add("glow");
  clearTimeout(dimming);
  dimming = setTimeout(() => word.classList.remove("bright"), brightMs);
}

/** Every label with its bar; those that are never reported are grey. */
export class Bars {
  constructor({ vocabulary, events }) {
    this.items = vocabulary.map((label) => {
      const bar = make("span", "bar", make("span", "", make("i", "")));
      bar.setAttribute("aria-hidden", "true");
      const item = make("li", events.includes(label) ? "" : "other", make("span", "", label), bar, make("span", "", "0 %"));
      return { item, bar, isEvent: events.includes(label) };
    });
    element("bars").style.setProperty("--rows", Math.ceil(vocabulary.length / 2));
    element("bars").replaceChildren(...this.items.map(({ item }) => item));
  }

  show(scores, threshold) {
    element("bars").style.setProperty("--threshold", threshold);
    this.items.forEach(({ item, bar, isEvent }, index) => {
      setFraction(bar, scores[index]);
      item.lastChild.textContent = percent(scores[index]);
      item.classList.toggle("above", isEvent && scores[index] >= threshold);
    });
  }
}

/** Log of the detections, newest on top. */
export class Log {
  rows = [];

  add(source, { time_s, label, confidence }) {
    const now = new Date();
    const clock = new Date(now - 60000 * now.getTimezoneOffset()).toISOString().slice(0, -1);
    this.rows.push({ clock, source, time_s: Number(time_s.toFixed(3)), label, confidence });
    const texts = [clock.slice(11, 19), `${time_s.toFixed(2)} s`, label, percent(confidence)];
    element("rows").prepend(make("tr", "", ...texts.map((text) => make("td", "", text))));
    if (element("rows").children.length > MAX_SHOWN_ROWS) element("rows").lastChild.remove();
    element("no-rows").hidden = true;
  }

  clear() {
    this.rows = [];
    element("rows").replaceChildren();
    element("no-rows").hidden = false;
  }

  save() {
    const url = URL.createObjectURL(new Blob([csvOf(this.rows)], { type: "text/csv" }));
    const name = `detections_${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "_")}.csv`;
    Object.assign(document.createElement("a"), { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}

/** The last seconds: waveform over spectrogram, with the detections in them; the right edge is the present. */
export class Strip {
  constructor({ buffer_samples, sample_rate, spectrogram }) {
    Object.assign(this, { settings: spectrogram, rate: sample_rate, duration: buffer_samples / sample_rate });
    this.numShown = buffer_samples;
    this.spectrogram = new Spectrogram(spectrogram, buffer_samples);
    this.picture = document.createElement("canvas");
    Object.assign(this.picture, { width: this.spectrogram.numFrames, height: spectrogram.filters.length });
    const context = this.picture.getContext("2d", { willReadFrequently: true });
    const gradient = context.createLinearGradient(0, 0, this.picture.width, 0);
    spectrogram.colors.forEach((color, index, { length }) => gradient.addColorStop(index / (length - 1), color));
    context.fillStyle = gradient;
    context.fillRect(0, 0, this.picture.width, 1);
    this.colors = new Uint32Array(context.getImageData(0, 0, this.picture.width, 1).data.buffer);
    this.reset();
    new ResizeObserver(() => this.draw()).observe(element("strip"));
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.draw());
  }

  reset() {
    this.last = new LastSamples(this.numShown);
    this.spectrogram.reset();
    this.detections = [];
    this.numSamples = 0;
  }

  append(samples, numMissing = 0) {
    this.last.append(samples);
    this.spectrogram.append(samples);
    this.numSamples += numMissing + samples.length;
  }

  draw() {
    const canvas = element("strip");
    const { clientWidth: width, clientHeight: height } = canvas;
    const scale = devicePixelRatio || 1;
    Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    const context = canvas.getContext("2d");
    const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
    context.scale(scale, scale);
    const area = { left: MARGIN, width: width - MARGIN, top: 20, bottom: height - 22 };
    const split = area.top + 0.36 * (area.bottom - area.top);
    this.drawWaveform(context, area, split, color);
    this.drawSpectrogram(context, area, split + 6);
    this.drawAxes(context, area, split + 6, color);
    this.drawDetections(context, area, color);
  }

  drawWaveform(context, { left, width, top }, bottom, color) {
    const waveform = this.last.samples;
    const peak = waveform.reduce((highest, sample) => Math.max(highest, Math.abs(sample)), this.settings.min_peak);
    const middle = (top + bottom) / 2;
    context.fillStyle = color("border");
    context.fillRect(left, middle, width, 1);
    context.fillStyle = color("blue");
    for (let x = 0; x < width; x++) {
      const column = waveform.subarray((x * waveform.length) / width, ((x + 1) * waveform.length) / width);
      const [low, high] = [Math.min(0, ...column), Math.max(0, ...column)];
      const half = (bottom - top) / 2 / peak;
      context.fillRect(left + x, middle - high * half, 1, Math.max(1, (high - low) * half));
    }
  }

  drawSpectrogram(context, { left, width, bottom }, top) {
    const { width: numFrames, height: numBins } = this.picture;
    const image = new ImageData(numFrames, numBins);
    const pixels = new Uint32Array(image.data.buffer);
    this.spectrogram.levels().forEach((frame, x) =>
      frame.forEach((level, bin) => {
        pixels[(numBins - 1 - bin) * numFrames + x] = this.colors[Math.round(level * (this.colors.length - 1))];
      }),
    );
    this.picture.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(this.picture, left, top, width, bottom - top);
  }

  drawAxes(context, { left, width, bottom }, top, color) {
    context.fillStyle = color("muted");
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const [khz, fraction] of this.settings.ticks) {
      context.fillText(`${khz} kHz`, left - 7, Math.max(top + 6, bottom - fraction * (bottom - top)));
    }
    for (let second = 0; second <= this.duration; second++) {
      context.textAlign = second === 0 ? "left" : second === this.duration ? "right" : "center";
      context.fillText(second === this.duration ? "now" : `\u2212${this.duration - second} s`, left + (second / this.duration) * width, bottom + 13);
    }
  }

  drawDetections(context, { left, width, bottom }, color) {
    context.fillStyle = color("orange");
    context.font = `600 12px ${getComputedStyle(document.body).fontFamily}`;
    context.textAlign = "left";
    for (const { time_s, label } of this.detections) {
      const age = this.numSamples / this.rate - time_s;
      if (age > this.duration) continue;
      const x = left + width * Math.min(1, 1 - age / this.duration);
      const size = context.measureText(label).width;
      context.fillRect(Math.min(x, left + width - 1.5), 16, 1.5, bottom - 16);
      context.fillText(label, Math.min(Math.max(x - size / 2, left), left + width - size), 8);
    }
  }
}
